package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildInfo says which purger this is.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	// Modified says that the source was not what the revision holds.
	Modified  bool   `json:"modified,omitempty"`
	GoVersion string `json:"goVersion"`
}

// readBuildInfo returns what the linker and the build left in the binary.
func readBuildInfo() buildInfo {
	b := buildInfo{Version: version}
	info, ok := debug.ReadBuildInfo()
	if ok {
		b.GoVersion = info.GoVersion
		if b.Version == "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

// newVersion returns the command "version".
func newVersion(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "Say which version this is", GroupID: groupUpkeep,
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		b := readBuildInfo()
		return output.write(a.stdout, b, func(t *table) {
			t.field("version", b.Version)
			t.field("revision", b.Revision)
			if b.Modified {
				t.field("modified", "yes")
			}
			t.field("go", b.GoVersion)
		})
	}
	return cmd
}
