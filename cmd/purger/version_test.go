package main

import (
	"runtime"
	"testing"
)

func TestVersion_IsThatOfTheLinkerOrAtLeastSomething(t *testing.T) {
	if b := readBuildInfo(); b.Version == "" || b.GoVersion != runtime.Version() {
		t.Errorf("%+v", b)
	}
	defer func(v string) { version = v }(version)
	version = "v1.2.3"
	if b := readBuildInfo(); b.Version != "v1.2.3" {
		t.Errorf("the version is %q; want that of the linker", b.Version)
	}
}
