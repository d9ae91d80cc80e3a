package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// newStore returns the command "store".
func newStore(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "store", Short: "Check, back up, compact and describe the store", GroupID: groupUpkeep,
	})
	cmd.AddCommand(newStoreCheck(a), newStoreBackup(a), newStoreCompact(a), newStoreStats(a))
	return cmd
}

// newStoreCheck returns the command "store check".
func newStoreCheck(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Read everything and report every defect",
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			r, err := c.Check(ctx)
			if err != nil {
				return err
			}
			err = output.write(a.stdout, r, func(t *table) {
				for _, d := range r.Defects {
					t.text("%s", d)
				}
				if r.OK {
					t.text("The store is sound.")
				}
			})
			if err != nil {
				return err
			}
			if !r.OK {
				return &exitError{code: exitFailure, err: fmt.Errorf("the store has %s; purge nothing, and restore a backup", plural(int64(len(r.Defects)), "defect"))}
			}
			return nil
		})
	}
	return cmd
}

// backupResult is the answer of "store backup".
type backupResult struct {
	File string `json:"file"`
	Size int64  `json:"size"` // in bytes
}

// newStoreBackup returns the command "store backup".
func newStoreBackup(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup FILE|-", Short: "Write a consistent copy of the store, while it is used",
		Long: `backup writes a copy that is itself a store: to use it, put it into a data
directory as purger.db. The file appears when it is whole. It holds what the store
holds, personal data included.`,
		Args: arguments("FILE|-"),
	}
	output := outputFlag(cmd)
	force := cmd.Flags().Bool("force", false, "replace a file that is there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "-" && terminal(a.stdout) {
			return usageErrorf("a backup is not for a terminal; want a file, or a redirection")
		}
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			if args[0] == "-" {
				_, err := c.Backup(ctx, a.stdout)
				return err
			}
			r := backupResult{File: args[0]}
			err := writeFile(args[0], *force, func(w io.Writer) (err error) {
				r.Size, err = c.Backup(ctx, w)
				return err
			})
			if err != nil {
				return err
			}
			return output.write(a.stdout, r, func(t *table) { t.text("%s written to %s.", sizeText(r.Size), r.File) })
		})
	}
	return cmd
}

// newStoreCompact returns the command "store compact".
func newStoreCompact(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "compact", Short: "Rewrite the file, so that no byte of what was purged is left in it",
		Long: `compact rewrites the store's file. Until then the bytes of purged records can still
be read in it. Changes wait while it runs.`,
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			r, err := c.Compact(ctx)
			if err != nil {
				return err
			}
			return output.write(a.stdout, r, func(t *table) {
				t.text("Compacted from %s to %s.", sizeText(r.Before), sizeText(r.After))
			})
		})
	}
	return cmd
}

// newStoreStats returns the command "store stats".
func newStoreStats(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "stats", Short: "Say what the store holds",
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			s, err := c.StoreStats(ctx)
			if err != nil {
				return err
			}
			return output.write(a.stdout, s, func(t *table) { statsFields(t, s) })
		})
	}
	return cmd
}
