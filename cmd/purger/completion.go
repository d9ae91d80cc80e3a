package main

import (
	"math"
	"slices"

	"github.com/spf13/cobra"
)

// maxCompleted is for a command that takes any number of names.
const maxCompleted = math.MaxInt

// completeTargets completes up to n names of targets, those of the configuration in
// force here; that of a daemon elsewhere is not known.
func (a *app) completeTargets(n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= n || a.server != "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cfg, err := a.config()
		if err == nil && a.configFile == "" {
			cfg, err = remembered(cfg)
		}
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []cobra.Completion
		for _, t := range cfg.Targets {
			if !slices.Contains(args, t.Name) {
				names = append(names, t.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
