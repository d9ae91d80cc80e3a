package main

import (
	"regexp"
	"strings"
)

// roff collects the source of a manual page in the macros of man(7). Help texts
// go in as they are: they are plain text, which cobra's own generator would take
// for Markdown. The zero value is an empty page.
type roff struct {
	source strings.Builder
}

// String returns the source.
func (r *roff) String() string { return r.source.String() }

// macro adds a request line with its arguments, which are plain text.
func (r *roff) macro(name string, args ...string) {
	r.source.WriteString("." + name)
	for _, a := range args {
		r.source.WriteString(` "` + strings.ReplaceAll(roffEscape(a), `"`, `\(dq`) + `"`)
	}
	r.source.WriteString("\n")
}

// line adds one line of text that roffEscape, roffBold and roffItalic made.
func (r *roff) line(escaped string) {
	if strings.HasPrefix(escaped, ".") || strings.HasPrefix(escaped, "'") {
		escaped = `\&` + escaped // else it would be a request
	}
	r.source.WriteString(escaped + "\n")
}

// prose adds plain text: paragraphs with blank lines between them. Indented lines
// stay as they are, what is in backquotes becomes bold.
func (r *roff) prose(text string) {
	for i, paragraph := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if i > 0 {
			r.macro("PP")
		}
		if strings.HasPrefix(paragraph, " ") {
			r.example(paragraph)
			continue
		}
		paragraph = roffQuoted.ReplaceAllString(roffEscape(paragraph), `\fB$1\fR`)
		for line := range strings.SplitSeq(paragraph, "\n") {
			r.line(line)
		}
	}
}

// example adds lines that are not filled.
func (r *roff) example(text string) {
	r.macro("EX")
	for line := range strings.SplitSeq(text, "\n") {
		r.line(roffEscape(strings.TrimPrefix(line, "  ")))
	}
	r.macro("EE")
}

// item adds prose below a tag that is escaped already.
func (r *roff) item(tag, text string) {
	r.macro("TP")
	r.line(tag)
	r.prose(text)
}

// roffQuoted is what stands in backquotes, escaped.
var roffQuoted = regexp.MustCompile(`(?s)\\\(ga(.*?)\\\(ga`)

// roffSpecial turns each character that roff reads, or would print as another
// one than that of the keyboard, into the name of the one that is meant.
var roffSpecial = strings.NewReplacer(
	`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`)

func roffEscape(plain string) string { return roffSpecial.Replace(plain) }

func roffBold(plain string) string { return `\fB` + roffEscape(plain) + `\fR` }

func roffItalic(plain string) string { return `\fI` + roffEscape(plain) + `\fR` }
