package commandtarget

import (
	"strings"
	"testing"
)

func TestDecode_TakesOneSoundObjectAndNothingElse(t *testing.T) {
	for _, s := range []string{
		`{"version":1,"count":0}`, ` {"count":9223372036854775807,"version":1}` + "\n\n", `{"version":1,"deleted":3,"more":false,"inexact":true}`,
		`{"version":1}`, `{"version":1,"error":"","retryAfterSeconds":0}`,
	} {
		if _, err := decode([]byte(s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for s, want := range map[string]string{
		``:                                                  "want a JSON object",
		`null`:                                              "want a JSON object",
		`[]`:                                                "want a JSON object",
		`"version"`:                                         "want a JSON object",
		`<html></html>`:                                     "want a JSON object",
		`done {"version":1,"count":0}`:                      "want a JSON object",
		`{`:                                                 "no JSON",
		`{"version":1,"count":0`:                            "no JSON",
		`{"version":1,"count":0} ok`:                        "more than one object",
		`{"version":1,"count":0}{}`:                         "more than one object",
		`{"version":1,"count":0}]`:                          "more than one object",
		`{"count":0}`:                                       `"version":1`,
		`{"version":2,"count":0}`:                           `"version":1`,
		`{"version":null,"count":0}`:                        `"version":1`,
		`{"version":"1","count":0}`:                         `"version"`,
		`{"version":1,"Count":0}`:                           `"Count"`,
		`{"version":1,"count":0,"total":3}`:                 `"total"`,
		`{"version":1,"count":5,"count":0}`:                 `"count"`,
		`{"version":1,"count":5,"c\u006funt":0}`:            `"count"`,
		`{"version":1,"count":-1}`:                          `"count" of the answer is -1`,
		`{"version":1,"count":1.5}`:                         `"count"`,
		`{"version":1,"count":1e3}`:                         `"count"`,
		`{"version":1,"count":"3"}`:                         `"count"`,
		`{"version":1,"count":99999999999999999999}`:        `"count"`,
		`{"version":1,"count":{"n":1}}`:                     `"count"`,
		`{"version":1,"deleted":-2,"more":false}`:           `"deleted" of the answer is -2`,
		`{"version":1,"deleted":1,"more":"false"}`:          `"more"`,
		`{"version":1,"error":3}`:                           `"error"`,
		`{"version":1,"retryAfterSeconds":-1}`:              `"retryAfterSeconds" of the answer is -1`,
		`{"version":1,` + strings.Repeat(`"x":[`, 10) + `}`: `"x"`,
	} {
		_, err := decode([]byte(s))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", s, err, want)
		}
	}
}

func TestComplete_AnAnswerIsToItsOperation(t *testing.T) {
	for _, c := range []struct {
		op, answer string
		ok         bool
	}{
		{opCount, `{"version":1,"count":0}`, true}, {opCheck, `{"version":1}`, true},
		{opPurge, `{"version":1,"deleted":0,"more":false}`, true}, {opPurge, `{"version":1,"deleted":0,"more":true,"inexact":true}`, true},
		// Absence is no answer.
		{opCount, `{"version":1}`, false}, {opCount, `{"version":1,"count":null}`, false}, {opPurge, `{"version":1}`, false},
		{opPurge, `{"version":1,"deleted":0}`, false}, {opPurge, `{"version":1,"more":false}`, false},
		{opPurge, `{"version":1,"deleted":0,"more":null}`, false},
		// Nor is one to something else, or an error with a good end.
		{opCount, `{"version":1,"count":0,"deleted":0}`, false}, {opCount, `{"version":1,"count":0,"more":false}`, false},
		{opPurge, `{"version":1,"deleted":0,"more":false,"count":0}`, false}, {opCheck, `{"version":1,"count":0}`, false},
		{opCount, `{"version":1,"count":0,"error":"x"}`, false}, {opCheck, `{"version":1,"retryAfterSeconds":3}`, false},
	} {
		a, err := decode([]byte(c.answer))
		if err != nil {
			t.Fatalf("%s: %v", c.answer, err)
		}
		if err := a.complete(c.op); (err == nil) != c.ok {
			t.Errorf("%s as an answer to %s: %v", c.answer, c.op, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"deleted":3,"more":false}`))
	f.Add([]byte(`{"version":1,"error":"\u0000"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decode(b)
		if err == nil && (*a.version != 1 || a.count != nil && *a.count < 0 || a.deleted != nil && *a.deleted < 0) {
			t.Errorf("%q was taken as %+v", b, a)
		}
	})
}
