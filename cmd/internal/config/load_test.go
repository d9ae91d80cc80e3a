package config

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoad_WithoutAKeyItIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "---\n...\n", "{}", "log:\npurge:\n  backoff:\ntenants:\n  protected:\n", "\ufefflog: {}\n"} {
		c, err := load(t, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if diff := cmp.Diff(Default(), c); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if _, err := Load(os.DevNull); err != nil {
		t.Errorf("%s: %v", os.DevNull, err)
	}
}

func TestLoad_EveryKeySetsItsFieldAndNoOther(t *testing.T) {
	// The keys that mean nothing without others, with those others.
	const signed = "    issuer: https://id.example.com\n    audience: purger\n"
	together := map[string]string{
		"api.auth.issuer": "    audience: purger\n", "api.auth.audience": "    issuer: https://id.example.com\n", "api.auth.keysFile": signed,
	}
	for _, f := range schema() {
		c, err := load(t, document(f.key, other()[f.key])+together[f.key])
		if err != nil {
			t.Errorf("%s: %v", f.key, err)
			continue
		}
		for _, g := range schema() {
			d := Default()
			if together[f.key] != "" && g.key != f.key {
				continue
			}
			changed := !reflect.DeepEqual(g.show(&c), g.show(&d))
			if changed != (g.key == f.key) {
				t.Errorf("setting %s changes %s: %t", f.key, g.key, changed)
			}
		}
	}
}

func TestLoad_EveryFieldOfConfigHasAKey(t *testing.T) {
	c, err := load(t, full())
	if err != nil {
		t.Fatal(err)
	}
	var compare func(path string, a, b reflect.Value)
	compare = func(path string, a, b reflect.Value) {
		if a.Kind() == reflect.Struct {
			for i := range a.NumField() {
				compare(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
			}
			return
		}
		if reflect.DeepEqual(a.Interface(), b.Interface()) {
			t.Errorf("no key sets Config%s", path)
		}
	}
	compare("", reflect.ValueOf(c), reflect.ValueOf(Default()))
}

func TestLoad_BoundsAreInclusive(t *testing.T) {
	for key, c := range map[string]struct{ good, bad []string }{
		"tenants.gracePeriod.min":     {[]string{"1", "30"}, []string{"0", "31", "3651", "1.0", "0x10", "1e1", "010", "true", "[]", "99999999999999999999"}},
		"tenants.gracePeriod.max":     {[]string{"30", "3650"}, []string{"29", "3651"}},
		"tenants.gracePeriod.default": {[]string{"10", "90"}, []string{"9", "91"}},
		"purge.concurrency":           {[]string{"1", "1024"}, []string{"0", "1025"}},
		"purge.attempts":              {[]string{"1", "1000"}, []string{"0", "1001"}},
		"purge.backoff.initial":       {[]string{"1s", "6h"}, []string{"999ms", "6h1ms", "-1s", "24h1ns"}},
		"purge.backoff.max":           {[]string{"30s", "168h"}, []string{"29s", "168h1ns", "0", "1d", "''"}},
		"purge.callTimeout":           {[]string{"1s", "4m59s"}, []string{"999ms", "5m", "1h1ns"}},
		"purge.lease":                 {[]string{"30001ms", "24h"}, []string{"30s", "24h1ns"}},
		"purge.drainTimeout":          {[]string{"1s", "1h"}, []string{"999ms", "1h1ns"}},
		"limits.perPass":              {[]string{"0", "2147483647"}, []string{"-1", "2147483648"}},
		"limits.perDay":               {[]string{"0", "2147483647"}, []string{"-1", "2147483648"}},
		"limits.perDayShare":          {[]string{"0", "0.0", "1", "1.0", "1e-3", "-0.0"}, []string{"-0.001", "1.001", ".nan", ".inf", "-.inf", "'0.1'", "0x1p-2", "10%"}},
		"limits.perDayShareFloor":     {[]string{"0", "2147483647"}, []string{"-1", "2147483648"}},
		"limits.batch":                {[]string{"1", "1000000"}, []string{"0", "1000001"}},
		"store.transactionTarget":     {[]string{"1ms", "1s"}, []string{"999us", "1001ms"}},
		"store.mmapSize":              {[]string{"1MiB", "1048576B", "16TiB"}, []string{"1048575B", "16385GiB", "0", "4294967296", "4GB", "4G", "1.5GiB", "-1GiB", "4 GiB", "9223372036854775807TiB", "16777217TiB"}},
		"store.compactAfter":          {[]string{"0s", "8784h"}, []string{"0", "-1s", "8785h"}},
		"web.listenAddress": {
			[]string{":9464", "0.0.0.0:0", "localhost:65535", `"[::]:9464"`, `"[fe80::1%eth0]:9464"`, "metrics.example.com:80"},
			[]string{"9464", "localhost", ":65536", ":-1", ":http", ":080", "::1:9464", "127.0.0.256:80", "host name:80", "''", "http://localhost:80"}},
		"log.level":           {[]string{"debug", "warn", "error"}, []string{"INFO", "warning", "''"}},
		"log.format":          {[]string{"auto", "console"}, []string{"text"}},
		"api.immediateDelete": {[]string{"never", "any"}, []string{"no", "true", "all"}},
		"dataDir":             {[]string{"a b", `"007"`, "/"}, []string{"''", `"a\0b"`, `"a\nb"`, "7", "[a]", "null", "true"}},
		"web.configFile":      {[]string{`""`}, []string{"null", `"\x7f"`, "/no/such/file", "."}},
		"store.importTempDir": {[]string{`""`, "/tmp"}, []string{"3.5", "{}"}},
		"purge.schedule":      {[]string{`"@hourly"`, `"CRON_TZ=Europe/Berlin 30 2 * * *"`}, []string{`""`, "5", `"TZ="`, `"@every 1ms"`, `"0 0 30 2 *"`, `"* * * * * *"`}},
		"tenants.protected":   {[]string{"[]", "[a]", "[a, A, 1a]"}, []string{"a", "{a: b}", "[a, a]", "[1]", "[[a]]", "['']", "[null]", "[.a]", "[true]", "[2026-01-01]"}},
	} {
		for _, v := range c.good {
			if _, err := load(t, document(key, v)); err != nil {
				t.Errorf("%s: %s is refused: %v", key, v, err)
			}
		}
		for _, v := range c.bad {
			_, err := load(t, document(key, v))
			if err == nil {
				t.Errorf("%s: %s is accepted", key, v)
			} else if section, _, _ := strings.Cut(key, "."); !strings.Contains(err.Error(), section) {
				t.Errorf("%s: %s: %v", key, v, err)
			}
		}
	}
}

func TestLoad_SaysWhatWouldBeRightForTheType(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"purge.attempts", `"3"`, `"3": want a whole number from 1 to 1000, without quotes`},
		{"purge.attempts", `"x"`, `"x": want a whole number from 1 to 1000`},
		{"purge.attempts", "", `nothing: want a whole number from 1 to 1000; without the key it is the default`},
		{"purge.attempts", "~", `~: want a whole number from 1 to 1000; without the key it is the default`},
		{"dataDir", "007", `007: want a directory, in quotes: "007"`},
		{"dataDir", "2026-01-01", `2026-01-01: want a directory, in quotes: "2026-01-01"`},
		{"log.level", "on", `"on": want one of debug, info, warn, error`},
		{"limits.perDayShare", "NaN", `"NaN": want a number from 0 to 1, such as 0.10`},
		{"purge.lease", "5 m", `"5 m": want a duration with a unit, such as 5m, from 10s to 24h`},
		{"web.configFile", ".", `".": it is a directory; want a file (DIR)`},
	} {
		path := filepath.Join(t.TempDir(), "f.yaml")
		text := document(c.key, c.value)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%s:%d: %s: %s", path, strings.Count(text, "\n"), c.key, strings.ReplaceAll(c.want, "DIR", filepath.Dir(path)))
		if _, err := Load(path); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestLoad_MinusZeroIsZero(t *testing.T) {
	c, err := load(t, document("limits.perDayShare", "-0.0"))
	if err != nil || math.Signbit(c.Limits.PerDayShare) {
		t.Errorf("%v, %v", c.Limits.PerDayShare, err)
	}
}

func TestLoad_WebConfigFileIsRelativeToTheFolderOfTheFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"purger.yaml": "web: {configFile: tls/web.yaml}\n", "tls/web.yaml": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := filepath.Join(dir, "tls", "web.yaml")
	c, err := Load(filepath.Join(dir, "purger.yaml"))
	if err != nil || c.Web.ConfigFile != want {
		t.Errorf("an absolute path: %q, %v; want %q", c.Web.ConfigFile, err, want)
	}
	t.Chdir(dir)
	c, err = Load("purger.yaml")
	if err != nil || c.Web.ConfigFile != want {
		t.Errorf("a relative path: %q, %v; want %q", c.Web.ConfigFile, err, want)
	}
}
