package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge"
)

// canary is a secret with every character that has a meaning somewhere.
const canary = `Xk@9/HUNTER2hunter2:?a=b#c[d]{id}{e%41&f+g h'i"j\kü☃` + "`: l$1,;|quoted}"

// refuses is an address where nobody listens.
const refuses = "127.0.0.1:1"

// Whatever option a secret stands in, of whatever target or source: nothing that the
// daemon says has as much as six characters of it.
func TestSecrets_G4_AreInNoErrorAndNoLogLine(t *testing.T) {
	ref := secretFile(t, canary)
	for name, base := range secretBases("http://" + refuses) {
		for _, p := range placesOf(base()) {
			for form, text := range p.forms(t, ref) {
				t.Run(name+p.path+form, func(t *testing.T) {
					options := base()
					placesOf(options)[p.index].set(text)
					said := use(t, configWith(t, name, reflect.ValueOf(options).Elem().Interface()))
					if !strings.Contains(said, "\n") {
						t.Fatal("nothing was said: there is nothing to look at")
					}
					if leak := leaked(said, canary); leak != "" {
						t.Errorf("%q of the secret is in\n%s", leak, said)
					}
				})
			}
		}
	}
}

// A new type of target or source, and a new option of one, is looked at here.
func TestSecrets_G4_EveryOptionThatTakesOneIsLookedAt(t *testing.T) {
	var names []string
	for name, base := range secretBases("http://" + refuses) {
		names = append(names, name)
		looked := map[string]bool{}
		for _, p := range placesOf(base()) {
			looked[p.field] = true
		}
		want := map[string]bool{}
		taggedOf(reflect.TypeOf(base()).Elem(), want)
		if !maps.Equal(looked, want) {
			t.Errorf("%s: looked at %v, want %v", name, looked, want)
		}
	}
	for key, document := range map[string]string{"target ": "targets: [{name: x, type: x}]\n", "source ": "source: {type: x}\n"} {
		file := filepath.Join(t.TempDir(), "purger.yaml")
		if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(file)
		types := regexp.MustCompile(`want one of ([a-z, ]+)`).FindStringSubmatch(fmt.Sprint(err))
		if types == nil {
			t.Fatal(err)
		}
		for typ := range strings.SplitSeq(types[1], ", ") {
			if !slices.Contains(names, key+typ) {
				t.Errorf("%s%s is not looked at", key, typ)
			}
		}
	}
}

// secretFile writes a secret into a file and returns the reference to it.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "${file:" + file + "}"
}

// configWith returns a configuration with one target or source.
func configWith(t *testing.T, name string, options any) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	kind, typ, _ := strings.Cut(name, " ")
	if kind == "source" {
		s := config.DefaultSource()
		s.Type, s.Options = typ, options
		cfg.Source = &s
		return cfg
	}
	policy := config.DefaultTargetPolicy(typ)
	policy.Timeout, policy.Retries = 5*time.Second, 0
	cfg.Targets = []config.Target{{Name: "x", Type: typ, Policy: policy, Options: options}}
	return cfg
}

// use does with a configuration what the daemon does, and returns all that it says.
func use(t *testing.T, cfg config.Config) string {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	var said strings.Builder
	note := func(values ...any) {
		for _, v := range values {
			fmt.Fprintf(&said, "%v\n%+v\n%#v\n", v, v, v)
		}
		for err, ok := values[len(values)-1].(error); ok && err != nil; err = errors.Unwrap(err) {
			fmt.Fprintln(&said, err)
		}
	}
	note(checkExternal(cfg, ""))
	x, err := openExternal(cfg, externalOptions{logger: zap.New(core), checkOnly: true})
	note(err)
	if err == nil {
		defer x.Close()
		for _, g := range x.targets {
			useTarget(t, g, note)
		}
	}
	if cfg.Source != nil {
		one := &external{}
		src, err := one.newSource(cfg, secretsOf(), externalOptions{logger: zap.New(core)})
		note(err)
		if err == nil {
			useSource(t, src, note)
		}
	}
	for _, line := range logs.All() {
		note(line.Message, line.ContextMap())
	}
	return said.String()
}

func useTarget(t *testing.T, g *purge.GuardedTarget, note func(...any)) {
	t.Helper()
	target := purge.Target(g)
	if c, ok := purge.As[purge.Checker](target); ok {
		note(c.Check(t.Context()))
	}
	if d, ok := purge.As[purge.Doctor](target); ok {
		note(d.Diagnose(t.Context()))
	}
	for _, kind := range target.Kinds() {
		note(target.Count(t.Context(), "acme", kind))
		note(target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: kind, Limit: 10}))
	}
	if s, ok := purge.As[purge.SubscriptionCounter](target); ok {
		note(s.ActiveSubscriptions(t.Context(), "acme"))
	}
	note(g.Name())
}

func useSource(t *testing.T, src purge.Source, note func(...any)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if c, ok := src.(purge.Checker); ok {
		note(c.Check(ctx))
	}
	note(src.Tenant(ctx, "acme"))
	note(src.Tenants(ctx, func(r purge.SourceRow) error { note(r.Err); return nil }))
}

// leaked returns six characters of a secret that are in a text, or in what it is when
// the escapes of URLs, JSON and Go are taken away; "" for none.
func leaked(said, secret string) string {
	texts := []string{said, unescapePercent(said), strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\u0026`, "&").Replace(said)}
	runes := []rune(secret)
	for i := 0; i+6 <= len(runes); i++ {
		for _, text := range texts {
			if part := string(runes[i : i+6]); strings.Contains(text, part) {
				return part
			}
		}
	}
	return ""
}

var percent = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

func unescapePercent(s string) string {
	return percent.ReplaceAllStringFunc(s, func(x string) string {
		b, _ := strconv.ParseUint(x[1:], 16, 8)
		return string([]byte{byte(b)})
	})
}
