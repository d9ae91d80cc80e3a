package httpcall_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge/httpcall"
)

func TestSecrets_SplitFindsWhatTheyAreAndNothingElse(t *testing.T) {
	s := httpcall.Secrets{"${a}": "1", "${b}": "${a}"}
	for text, want := range map[string][]httpcall.Piece{
		"":           nil,
		"${c}{a}":    {{Text: "${c}{a}"}},
		"${a}":       {{Text: "${a}", Secret: "1", Reference: true}},
		"x${b}${a}y": {{Text: "x"}, {Text: "${b}", Secret: "${a}", Reference: true}, {Text: "${a}", Secret: "1", Reference: true}, {Text: "y"}},
	} {
		if diff := cmp.Diff(want, s.Split(text)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestSecrets_G4_InAURLAreEncodedAndNotShown(t *testing.T) {
	s := httpcall.Secrets{"${k}": "a/b?c#d&{e}%25 +", "${dots}": ".."}
	for text, want := range map[string][2]string{
		"/x?k=${k}":              {"/x?k=a%2Fb%3Fc%23d%26%7Be%7D%2525%20%2B", ""},
		"/bot${k}/x?k=${k}":      {"/bota%2Fb%3Fc%23d%26%7Be%7D%2525%20%2B/x?k=a%2Fb%3Fc%23d%26%7Be%7D%2525%20%2B", "/bot${k}/x"},
		"https://h.example/${k}": {"https://h.example/a%2Fb%3Fc%23d%26%7Be%7D%2525%20%2B", "https://h.example/${k}"},
		"/x/{id}?a=b":            {"/x/{id}?a=b", ""},
	} {
		if u, shown, err := s.URL(text); err != nil || u != want[0] || shown != want[1] {
			t.Errorf("%s: %q, shown %q, %v; want %q", text, u, shown, err, want)
		}
	}
	for _, text := range []string{"${k}", "${k}/x", "https://${k}/x", "https://h${k}", "//${k}/x", "/x/${dots}"} {
		if u, _, err := s.URL(text); err == nil || strings.Contains(err.Error(), "a/b") {
			t.Errorf("%s: %q, %v", text, u, err)
		}
	}
}
