package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// confirm makes sure that a person means what cannot be undone: the id has to
// be typed after the question. Without a terminal there is nobody to ask.
func (a *app) confirm(ctx context.Context, question, id string) error {
	if !terminal(a.stdin) {
		return usageErrorf("%s This cannot be undone; standard input is no terminal at which to confirm it: want --yes", question)
	}
	fmt.Fprintf(a.stderr, "%s This cannot be undone.\nType the tenant's id to go on: ", printable(question))
	typed, err := readLine(ctx, a.stdin)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if typed != id {
		return fmt.Errorf("nothing was changed: %q was typed; want %q", typed, id)
	}
	return nil
}

// readLine reads up to the end of the line, or until ctx ends.
func readLine(ctx context.Context, r io.Reader) (string, error) {
	type answer struct {
		line string
		err  error
	}
	// A read from a terminal cannot be withdrawn; the goroutine is left behind
	// when the process ends.
	answers := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(r).ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		answers <- answer{strings.TrimRight(line, "\r\n"), err}
	}()
	select {
	case got := <-answers:
		if errors.Is(got.err, io.EOF) {
			return "", errors.New("no answer was given")
		}
		return got.line, got.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
