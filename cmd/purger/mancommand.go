package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commandPages returns the manual pages of a command and of all below it, by the
// names of their files. Those that cobra adds, help and completion, have none.
func commandPages(cmd *cobra.Command, about manAbout) map[string]string {
	pages := map[string]string{manName(cmd) + ".1": commandPage(cmd, about)}
	for _, c := range manChildren(cmd) {
		for name, page := range commandPages(c, about) {
			pages[name] = page
		}
	}
	return pages
}

// manName returns the name of a command's page: purger-tenant-hold.
func manName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// manChildren returns the commands below cmd that have a page.
func manChildren(cmd *cobra.Command) []*cobra.Command {
	var children []*cobra.Command
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "completion" {
			children = append(children, c)
		}
	}
	return children
}

// commandPage returns the page of one command.
func commandPage(cmd *cobra.Command, about manAbout) string {
	r := about.header(manName(cmd), "1")
	r.macro("SH", "NAME")
	r.line(roffEscape(manName(cmd)) + ` \- ` + roffEscape(cmd.Short))
	r.macro("SH", "SYNOPSIS")
	r.line(manSynopsis(cmd))
	r.macro("SH", "DESCRIPTION")
	if cmd.Long != "" {
		r.prose(cmd.Long)
	} else {
		r.prose(cmd.Short + ".")
	}
	manCommands(r, cmd)
	manOptions(r, "OPTIONS", cmd.NonInheritedFlags())
	manOptions(r, "GLOBAL OPTIONS", cmd.InheritedFlags())
	if cmd.Example != "" {
		r.macro("SH", "EXAMPLES")
		r.example(cmd.Example)
	}
	if !cmd.HasParent() {
		r.macro("SH", "FILES")
		r.item(roffItalic("/etc/purger/purger.yaml"), "The configuration of the daemon that systemd runs.")
		r.item(roffItalic("/var/lib/purger"), "Its data directory, with the store and the socket of the commands.")
	}
	manSeeAlso(r, cmd)
	return r.String()
}

// manSynopsis returns the line of use: options in brackets, arguments in italics.
func manSynopsis(cmd *cobra.Command) string {
	words := []string{roffBold(cmd.CommandPath()), `[\fIOPTION\fR]...`}
	if cmd.HasAvailableSubCommands() {
		words = append(words, roffItalic("COMMAND"))
	}
	for _, argument := range strings.Fields(cmd.Use)[1:] {
		if name, ok := strings.CutPrefix(argument, "["); ok {
			words = append(words, "["+roffItalic(strings.TrimSuffix(name, "]"))+"]")
		} else {
			words = append(words, roffItalic(argument))
		}
	}
	return strings.Join(words, " ")
}

// manCommands adds the list of the commands below cmd, in their groups.
func manCommands(r *roff, cmd *cobra.Command) {
	children := manChildren(cmd)
	if len(children) == 0 {
		return
	}
	r.macro("SH", "COMMANDS")
	groups := cmd.Groups()
	if len(groups) == 0 {
		groups = []*cobra.Group{{}}
	}
	for _, g := range groups {
		if g.Title != "" {
			r.macro("SS", strings.TrimSuffix(g.Title, ":"))
		}
		for _, c := range children {
			if c.GroupID == g.ID {
				r.item(roffBold(manName(c))+"(1)", c.Short+".")
			}
		}
	}
}

// manOptions adds a section about flags, unless there are none.
func manOptions(r *roff, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	r.macro("SH", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		tag := roffBold("--" + f.Name)
		if f.Shorthand != "" {
			tag = roffBold("-"+f.Shorthand) + ", " + tag
		}
		if value != "" {
			tag += "=" + roffItalic(strings.TrimSuffix(value, "Array"))
		}
		switch f.DefValue {
		case "", "0", "0s", "false", "[]":
		default:
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		r.item(tag, usage)
	})
}

// manSeeAlso refers to the command above, those below are listed as commands.
func manSeeAlso(r *roff, cmd *cobra.Command) {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, roffBold(manName(cmd.Parent()))+"(1)")
	}
	pages = append(pages, roffBold("purger.yaml")+"(5)")
	r.macro("SH", "SEE ALSO")
	r.line(strings.Join(pages, ", "))
}
