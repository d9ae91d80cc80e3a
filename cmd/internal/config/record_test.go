package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// sample is a record with a field of every type.
type sample struct {
	URL      string `config:"dsn"`
	BaseURL  string
	Password string `config:"secret"`
	Skipped  string `config:"-"`
	Hook     func()
	Wait     time.Duration
	Count    int
	Share    float64
	On       bool
	Names    []string `config:"secret"`
	Tables   map[string]inner
	Inner    *inner
}

type inner struct {
	Key  string `config:"secret"`
	Size int64
}

func readSample(t *testing.T, text string) (sample, []string) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	s := sample{Count: 7}
	var said []string
	for _, err := range readRecord("[0]", doc.Content[0], reflect.ValueOf(&s).Elem()) {
		item, ok := err.(itemError)
		if !ok {
			t.Fatalf("%T", err)
		}
		said = append(said, item.under+": "+item.Error())
	}
	return s, said
}

func TestRecord_ReadsEveryTypeAndShowsItAsItWasRead(t *testing.T) {
	const text = `url: https://a.example
baseUrl: b
password: ${credential:db}
wait: 1m30s
count: -3
share: 0.5
on: true
names:
    - a
    - "7"
tables:
    user:
        key: id
        size: 5
inner:
    key: k
`
	got, said := readSample(t, text)
	want := sample{
		URL: "https://a.example", BaseURL: "b", Password: "${credential:db}", Wait: 90 * time.Second, Count: -3, Share: 0.5, On: true,
		Names: []string{"a", "7"}, Tables: map[string]inner{"user": {"id", 5}}, Inner: &inner{Key: "k"},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(said) > 0 {
		t.Errorf("%s%q", diff, said)
	}
	shown, err := yaml.Marshal(showRecord(reflect.ValueOf(got)))
	if err != nil || string(shown) != text {
		t.Errorf("shown as\n%s%v", shown, err)
	}
}

func TestRecord_TellsAllThatIsWrong(t *testing.T) {
	got, said := readSample(t, `
ulr: x
hook: x
skipped: x
password: hunter2
baseUrl: https://h/${file:/k}
wait: 5
count: 1e3
share: -1
"on": yes
names: [a, [b], 7]
tables: {7: {}, user: {size: big, kye: x}}
inner: text
url: a
url: b
`)
	want := []string{
		"[0].ulr: unknown key; did you mean url?",
		"[0].hook: unknown key; want one of url, baseUrl, password, wait, count, share, on, names, tables, inner",
		"[0].skipped: unknown key; want one of url, baseUrl, password, wait, count, share, on, names, tables, inner",
		"[0].password: a secret does not belong into the file; want ${credential:NAME} or ${file:/path}",
		"[0].baseUrl: no secret is taken here, where errors show the text; want the text itself",
		"[0].wait: want a duration with a unit, such as 30s",
		"[0].count: want a whole number",
		"[0].share: want a number of 0 or more",
		"[0].on: want true or false",
		"[0].names[1]: want a text",
		`[0].names[2]: want a text, in quotes: "7"`,
		"[0].tables.7: want a name, in quotes when it looks like a number",
		"[0].tables.user.size: want a whole number",
		"[0].tables.user.kye: unknown key; did you mean key?",
		"[0].inner: want a mapping with the keys key, size",
		"[0].url: the key is in line 14 already; want it once",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	if got.Count != 7 {
		t.Errorf("a bad value took the place of the default: %+v", got)
	}
}

func TestSecrets_ReplaceEveryReferenceAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	for name, secret := range map[string]string{"db": "hunter2\n", "empty": "\n", "long": strings.Repeat("x", maxSecret+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := sample{
		URL: "postgres://purger:${credential:db}@host/db", Password: "${file:" + dir + "/db}", Names: []string{"$db", "${db}", "${credential:db}"},
		Tables: map[string]inner{"user": {Key: "${credential:db}"}}, Inner: &inner{Key: "${credential:db}"},
	}
	was := cmp.Diff(sample{}, in)
	got, err := Resolve(Secrets{Directory: dir}, in)
	want := sample{
		URL: "postgres://purger:hunter2@host/db", Password: "hunter2", Names: []string{"$db", "${db}", "hunter2"},
		Tables: map[string]inner{"user": {Key: "hunter2"}}, Inner: &inner{Key: "hunter2"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if cmp.Diff(sample{}, in) != was {
		t.Errorf("the record itself was changed: %+v", in)
	}
	for ref, want := range map[string]string{
		"${credential:none}":      "url: ${credential:none}: no such file or directory; want a file that can be read",
		"${credential:../db}":     "url: ${credential:../db}: want the name of a credential, without a slash",
		"${credential:empty}":     "url: ${credential:empty}: it is empty; want the secret",
		"${credential:long}":      "url: ${credential:long}: more than 64KiB; want a secret",
		"${file:db}":              "url: ${file:db}: want an absolute path",
		"${file:" + dir + "/a/b}": "no such file or directory; want a file that can be read",
	} {
		if _, err := Resolve(Secrets{Directory: dir}, sample{URL: ref}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v; want %s", ref, err, want)
		}
	}
	if _, err := Resolve(Secrets{}, sample{Tables: map[string]inner{"user": {Key: "${credential:db}"}}}); err == nil ||
		!strings.HasPrefix(err.Error(), "tables.user.key: ${credential:db}: there is no directory of credentials") {
		t.Error(err)
	}
}

func TestKeyOf(t *testing.T) {
	for name, want := range map[string]string{
		"Name": "name", "DSN": "dsn", "URL": "url", "BaseURL": "baseUrl", "ClientID": "clientId", "URLPath": "urlPath", "CA": "ca",
		"MaxBody": "maxBody", "HTTP": "http",
	} {
		if got := keyOf(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestHasSecret(t *testing.T) {
	for text, want := range map[string]bool{
		"postgres://purger:hunter2@host/db":          true,
		"postgres://purger@host/db":                  false,
		"postgres://purger:${credential:db}@host/db": false,
		"postgres://host/db?password=hunter2":        true,
		"host=a password=hunter2":                    true,
		"host=a password = 'x'":                      true,
		"host=a password='${file:/run/x}' user=u":    false,
		"host=a sslpassword=hunter2":                 true,
		"postgres://purger@host/db?password=hunter2": true,
		"host=a password=${file:/run/x}":             false,
		"host=a passfile=/x":                         false,
		"-----BEGIN PRIVATE KEY-----\nMII":           true,
		"-----BEGIN CERTIFICATE-----\nMII":           false,
	} {
		if got := hasSecret("dsn", text, false); got != want {
			t.Errorf("dsn %q: %v", text, got)
		}
	}
	for _, key := range []string{"password", "bearer", "clientSecret", "clients"} {
		if !hasSecret(key, "x", false) || hasSecret(key, "${credential:x}", false) || !hasSecret(key, "a${credential:x}", false) || hasSecret(key, "", false) {
			t.Errorf("%s", key)
		}
	}
	for _, name := range []string{"Authorization", "proxy-authorization", "Cookie", "X-Api-Key", "API_KEY", "apikey", "PGPASSWORD", "client_secret", "X-Auth-Token", "AWS_SECRET_ACCESS_KEY"} {
		if !hasSecret(name, "x", true) || hasSecret(name, "Bearer ${credential:x}", true) || hasSecret(name, "", true) {
			t.Errorf("%s", name)
		}
	}
	for _, name := range []string{"Accept", "TOKEN_FILE", "audience", "clients", "X-Tenant", "KEY", "monkey"} {
		if hasSecret(name, "x", true) {
			t.Errorf("%s", name)
		}
	}
}

// Where the owner of a record reads a file itself, whenever it changes, the reference
// is the path, of whatever size and content the file is.
func TestSecrets_OfWhatIsReadAgainAreThePath(t *testing.T) {
	type registry struct {
		Clients string `config:"path"`
		Token   string `config:"secret"`
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Secrets{Directory: dir}
	for ref, want := range map[string]string{
		"": "", "${file:/none}": "/none", "${credential:none}": filepath.Join(dir, "none"),
	} {
		got, err := Resolve(s, registry{Clients: ref, Token: "${credential:token}"})
		if err != nil || got != (registry{want, "hunter2"}) {
			t.Errorf("%q: %+v, %v; want the path %q", ref, got, err, want)
		}
	}
	for ref, want := range map[string]string{
		"${file:none}":          "clients: ${file:none}: want an absolute path",
		"${credential:../none}": "clients: ${credential:../none}: want the name of a credential, without a slash",
	} {
		if _, err := Resolve(s, registry{Clients: ref}); err == nil || err.Error() != want {
			t.Errorf("%q: %v; want %s", ref, err, want)
		}
	}
}
