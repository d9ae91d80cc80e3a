package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What a DSN is made of is escaped for its place; that it then means the secret is for
// cmd/purger/postgrestest to prove.
func TestSecrets_G4_InADSNAreEscapedForTheirPlace(t *testing.T) {
	dir := t.TempDir()
	for name, secret := range map[string]string{
		"p": `X@9/a?b#c[d]%41&+ 'i"\ü`, "host": "db.example.com", "url": "postgres://u@h:5432/app", "kw": `host=h user='a b'`,
		"bare": "postgres://u:Xk@9/HUNTER2@h/app",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type record struct {
		DSN string `config:"dsn"`
	}
	const encoded = `X%409%2Fa%3Fb%23c%5Bd%5D%2541%26%2B%20%27i%22%5C%C3%BC`
	const quoted = `X@9/a?b#c[d]%41&+\ \'i"\\ü`
	for dsn, want := range map[string]string{
		"postgres://purger:$p@$host/app?x=$p": "postgres://purger:" + encoded + "@db.example.com/app?x=" + encoded,
		"postgresql://purger:$p@h/app":        "postgresql://purger:" + encoded + "@h/app",
		"host=$host password=$p user=u":       "host=db.example.com password=" + quoted + " user=u",
		"password='$p' host=h":                "password='" + quoted + "' host=h",
		"$url":                                "postgres://u@h:5432/app",
		"$url?password=$p":                    "postgres://u@h:5432/app?password=" + encoded,
		"$kw":                                 `host=h user='a b'`,
		"$kw password=$p":                     `host=h user='a b' password=` + quoted,
		"postgres://h/app":                    "postgres://h/app",
	} {
		for _, name := range []string{"p", "host", "url", "kw"} {
			dsn = strings.ReplaceAll(dsn, "$"+name, "${credential:"+name+"}")
		}
		if got, err := Resolve(Secrets{Directory: dir}, record{dsn}); err != nil || got.DSN != want {
			t.Errorf("%s: %s, %v; want %s", dsn, got.DSN, err, want)
		}
	}
	_, err := Resolve(Secrets{Directory: dir}, record{"${credential:bare}"})
	if err == nil || strings.Contains(err.Error(), "HUNTER2") || !strings.Contains(err.Error(), "percent-encoded") {
		t.Error(err)
	}
}

// Of a template the references stay, and beside it is what they stand for.
func TestSecrets_G4_OfATemplateStayReferences(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "k"), []byte("hunter2\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type call struct {
		URL string `config:"template"`
	}
	type record struct {
		Calls   map[string]*call
		Plain   string
		Secrets map[string]string `config:"secrets"`
	}
	in := record{Calls: map[string]*call{"a": {"/x?k=${credential:k}"}}}
	got, err := Resolve(Secrets{Directory: dir}, in)
	if err != nil || got.Calls["a"].URL != "/x?k=${credential:k}" || len(got.Secrets) != 1 || got.Secrets["${credential:k}"] != "hunter2" || in.Secrets != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Resolve(Secrets{Directory: dir}, record{Plain: "${credential:k}"}); err == nil {
		t.Error("a field that errors show takes a secret")
	}
	if keys := strings.Join(keysOf(reflect.TypeFor[record]()), " "); keys != "calls plain" {
		t.Errorf("keys %s: secrets are no key of a file", keys)
	}
}
