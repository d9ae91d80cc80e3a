package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

// newConfig returns the command "config".
func newConfig(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "config", Short: "Check and show the configuration", GroupID: groupUpkeep,
	})
	cmd.AddCommand(newConfigCheck(a), newConfigPrint(a))
	return cmd
}

// newConfigCheck returns the command "config check".
func newConfigCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Report everything that is wrong with a configuration file",
		Long: `check reads a configuration file, that of --config unless another one is named,
and the web configuration and the secrets that it refers to, and reports everything
that is wrong, each with its line; the exit code is then 78. It warns of secrets in
files that others may read or change, which is no error. It calls no target and no
source: doctor does.`,
		Args: arguments("[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.here(cmd); err != nil {
				return err
			}
			if len(args) == 1 {
				a.configFile = args[0]
			}
			if a.configFile == "" {
				return usageErrorf("there is nothing to check; want a FILE, or --config FILE")
			}
			cfg, err := a.config()
			var found *config.Problems
			if !errors.As(err, &found) || !found.About("web") {
				err = errors.Join(err, checkWeb(cfg, nil))
			}
			err = errors.Join(err, checkExternal(cfg, a.configFile))
			for _, line := range exposedSecrets(cfg, a.configFile) {
				fmt.Fprintf(a.stderr, "warning: %s\n", printable(line))
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: ok\n", printable(a.configFile))
			return nil
		},
	}
}

// newConfigPrint returns the command "config print".
func newConfigPrint(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "print", Short: "Show the configuration in force, every field in it",
		Long: `print shows the configuration file with the defaults filled in and the flags
applied. As YAML, the default, it is a configuration file again.`,
		Args: arguments(),
	}
	output := outputFlag(cmd)
	*output = formatYAML
	f := cmd.Flags().Lookup("output")
	f.DefValue, f.Usage = string(formatYAML), "form of the output: yaml or json"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.here(cmd); err != nil {
			return err
		}
		if *output == formatTable {
			return usageErrorf("a configuration is no table; want -o yaml or -o json")
		}
		cfg, err := a.config()
		if err != nil {
			return err
		}
		if *output == formatYAML {
			return cfg.Print(a.stdout)
		}
		return output.write(a.stdout, cfg, nil)
	}
	return cmd
}
