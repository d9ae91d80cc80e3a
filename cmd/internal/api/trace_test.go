package api

import "testing"

func TestTraceID_IsThatOfAValidTraceparentOnly(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	cases := map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01":                       id,
		"cc-" + id + "-00f067aa0ba902b7-01-extra":                 id, // a later version may have more
		"00-" + id + "-00f067aa0ba902b7-01-extra":                 "",
		"ff-" + id + "-00f067aa0ba902b7-01":                       "",
		"00-" + id + "-0000000000000000-01":                       "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01": "",
		"00-" + id + "-00f067aa0ba902b7":                          "",
		"00-" + id[1:] + "-00f067aa0ba902b7-01":                   "",
		"00-" + id + "\n-00f067aa0ba902b7-1":                      "",
		"":                                                        "",
		"---":                                                     "",
	}
	for header, want := range cases {
		if got := traceID(header); got != want {
			t.Errorf("traceID(%q) = %q, want %q", header, got, want)
		}
	}
}
