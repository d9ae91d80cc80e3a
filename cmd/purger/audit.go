package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/store"
)

// newAudit returns the command "audit".
func newAudit(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "audit", Short: "Read and verify the audit trail", GroupID: groupEvidence,
	})
	cmd.AddCommand(newAuditList(a), newAuditVerify(a))
	return cmd
}

// newAuditList returns the command "audit list".
func newAuditList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the entries in their order",
		Args: arguments(),
	}
	output := outputFlag(cmd)
	from := cmd.Flags().Uint64("from", 1, "sequence number of the first entry")
	limit := cmd.Flags().Int("limit", 0, "how many entries; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 0 {
			return usageErrorf("--limit %d: want 0 or more", *limit)
		}
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			entries := firstOf(c.AllAudit(ctx, *from), *limit)
			heads := []string{"SEQ", "AT", "ACTOR", "ACTION", "TENANT", "STATUS", "VERSION", "DETAIL"}
			return writeEach(*output, a.stdout, heads, entries, entryCells)
		})
	}
	return cmd
}

// entryCells renders an entry for the list.
func entryCells(e store.Entry) []string {
	change, versions := "", ""
	if e.FromStatus != "" || e.ToStatus != "" {
		change = string(e.FromStatus) + " > " + string(e.ToStatus)
	}
	if e.ToVersion != 0 {
		versions = fmt.Sprintf("%d > %d", e.FromVersion, e.ToVersion)
	}
	var detail []string
	if e.Counts != nil {
		detail = append(detail, countsText(*e.Counts))
	}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		if v := e.Detail[k]; v != "" {
			detail = append(detail, k+"="+v)
		}
	}
	return []string{
		fmt.Sprint(e.Seq), timeText(e.At.Time), e.Actor, string(e.Action), e.TenantID,
		change, versions, strings.Join(detail, " "),
	}
}

// verified is the answer of "audit verify".
type verified struct {
	OK      bool           `json:"ok"`
	Entries uint64         `json:"entries"` // that are sound, from the first one on
	Head    store.AuditRef `json:"head"`    // the last sound one
	Error   string         `json:"error,omitempty"`
}

// newAuditVerify returns the command "audit verify".
func newAuditVerify(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check that no entry was changed, removed or moved",
		Long: `verify reads the whole audit trail and computes the chain of hashes anew. Keep the
head that it prints somewhere else: with --head a later verification also finds
that the end of the trail was cut off.`,
		Args: arguments(),
	}
	output := outputFlag(cmd)
	head := cmd.Flags().String("head", "", "hash of an entry that must be part of the trail")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			v, err := verifyAudit(c.AllAudit(ctx, 1), *head)
			if err != nil {
				return err
			}
			if err := output.write(a.stdout, v, func(t *table) { verifiedTable(t, v) }); err != nil {
				return err
			}
			if !v.OK {
				return &exitError{code: exitFailure, err: fmt.Errorf("the audit trail is not sound: %s", v.Error)}
			}
			return nil
		})
	}
	return cmd
}

// verifyAudit checks the chain from the first entry on, up to the first
// defect. The error is for a trail that cannot be read.
func verifyAudit(entries iter.Seq2[store.Entry, error], head string) (verified, error) {
	var chain store.Chain
	var v verified
	found := head == ""
	for e, err := range entries {
		if err != nil {
			return verified{}, err
		}
		if err := chain.Verify(e); err != nil {
			v.Error = err.Error()
			break
		}
		v.Entries++
		found = found || e.Hash == head
	}
	v.Head = chain.Head()
	if v.Error == "" && !found {
		v.Error = fmt.Sprintf("no entry has the hash %.64s: the end was cut off, or it is another trail", head)
	}
	v.OK = v.Error == ""
	return v, nil
}

// verifiedTable renders the result of a verification.
func verifiedTable(t *table, v verified) {
	if v.OK {
		t.text("The audit trail is sound.")
	}
	t.field("entries", number(int64(v.Entries)))
	t.field("head", v.Head.Hash)
}
