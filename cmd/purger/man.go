package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// newMan returns the command "man". It is hidden: whoever makes a package needs
// it, once.
func newMan(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages", Hidden: true,
		Long: `man writes a manual page for each command into DIR, and one for the configuration
out of the comments of the file of --config, if that is given. The pages bear the
date of SOURCE_DATE_EPOCH, in seconds since 1970, or today's.`,
		Args: arguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
			if err != nil {
				return err
			}
			about := manAbout{date: date, version: readBuildInfo().Version}
			pages := commandPages(cmd.Root(), about)
			if a.configFile != "" {
				text, err := os.ReadFile(a.configFile)
				if err != nil {
					return err
				}
				page, err := configPage(text, about)
				if err != nil {
					return fmt.Errorf("%s: %w", a.configFile, err)
				}
				pages["purger.yaml.5"] = page
			}
			for name, page := range pages {
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(page), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// manAbout is what every manual page says of itself.
type manAbout struct {
	date    time.Time
	version string
}

// header returns the beginning of a manual page.
func (m manAbout) header(name, section string) *roff {
	r := &roff{}
	fmt.Fprintf(&r.source, ".TH \"%s\" %s %s \"purger %s\" purger\n",
		roffEscape(strings.ToUpper(name)), section, m.date.Format(time.DateOnly), roffEscape(m.version))
	// Names and keys are not divided, and lines not filled up with blanks for it.
	r.source.WriteString(".nh\n.ad l\n")
	return r
}

// sourceDate returns the date that SOURCE_DATE_EPOCH gives, and now without one.
func sourceDate(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, usageErrorf("SOURCE_DATE_EPOCH is %q; want seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
