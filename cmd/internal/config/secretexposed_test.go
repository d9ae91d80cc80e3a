package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exposable is a record with secrets in every place that takes them.
type exposable struct {
	A     string            `config:"secret"`
	Env   map[string]string `config:"secret"`
	Calls []struct {
		URL string `config:"template"`
	}
	Clients string `config:"path"`
	Plain   string
}

func TestExposed_TellsOfFilesThatOthersMayReadOrChange(t *testing.T) {
	dir := t.TempDir()
	file := func(mode os.FileMode, gid int) string {
		path := filepath.Join(dir, strings.ReplaceAll(mode.String(), "/", "_")+"-"+string(rune('a'+gid%26)))
		if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if gid != os.Getegid() {
			if err := os.Chown(path, 12345, gid); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine := os.Getegid()
	cases := map[string]string{
		file(0o600, mine): "", file(0o400, mine): "", file(0o640, mine): "", file(0o440, mine): "",
		file(0o644, mine): "everybody may read it", file(0o666, mine): "others than its owner may change it",
		file(0o620, mine): "others than its owner may change it", file(0o602, mine): "others than its owner may change it",
		file(0o604, mine): "everybody may read it",
	}
	if os.Geteuid() == 0 { // somebody else's
		cases[file(0o640, 12346)] = "a group that is none of this process may read it"
		cases[file(0o600, 12346)] = ""
		of := file(0o440, 12346)
		if err := os.Chown(of, 0, 12346); err != nil { // as an administrator gives it to the daemon
			t.Fatal(err)
		}
		cases[of] = ""
	} else if os.Getenv("CI") != "" {
		t.Error("this needs root")
	}
	for path, want := range cases {
		ref := "${file:" + path + "}"
		in := exposable{Env: map[string]string{"A": "x" + ref}}
		got := strings.Join(Exposed(in), "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) || want != "" && !strings.HasPrefix(got, ref+": ") {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	open := "${file:" + file(0o644, mine) + "}"
	in := exposable{A: open, Clients: open, Plain: "${file:/etc/passwd}"}
	in.Calls = append(in.Calls, struct {
		URL string `config:"template"`
	}{open})
	if got := Exposed(any(&in)); len(got) != 1 {
		t.Errorf("a file that is referred to three times is told %d times: %q", len(got), got)
	}
	if got := Exposed(exposable{A: "${credential:a}", Clients: "${file:/nowhere}${file:/dev/null}"}); len(got) != 0 {
		t.Errorf("a credential, and what is not there or no file: %q", got)
	}
}
