package ndjson

import (
	"strings"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// TestImport_TakesWhatIsSound has, for each input, what is exported afterwards.
func TestImport_TakesWhatIsSound(t *testing.T) {
	const created = `"createdAt":"2026-06-01T12:00:00.000Z"`
	tests := map[string]struct{ in, want string }{
		"required members alone": {
			`{"type":"tenant","id":"a","status":"active"}`,
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"active",` + created + `,"activeSubscriptions":0}`,
		},
		"any order, white space, CRLF, no end of the last line": {
			"{ \"status\" : \"active\",\t\"activeSubscriptions\":7 , \"id\":\"a\" ,\"type\":\"tenant\" } \r\n{\"data\":{},\"id\":\"u\",\"tenantId\":\"a\",\"type\":\"user\"}",
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"active",` + created + `,"activeSubscriptions":7}` + "\n" +
				`{"type":"user","tenantId":"a","id":"u","data":{}}`,
		},
		"the date instead of the days; offsets and fractions": {
			`{"type":"tenant","id":"a","status":"disabled","disabledAt":"2026-01-05T12:00:00.1239+02:00","estimatedPurgeDate":"2026-01-15T10:00:00.123Z"}`,
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"disabled",` + created + `,"disabledAt":"2026-01-05T10:00:00.123Z","purgeAfterDays":10,"activeSubscriptions":0}`,
		},
		"date and days that agree, across a change of daylight saving time": {
			`{"type":"tenant","id":"a","status":"disabled","disabledAt":"2026-03-01T00:00:00+01:00","purgeAfterDays":90,"estimatedPurgeDate":"2026-05-30T01:00:00+02:00"}`,
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"disabled",` + created + `,"disabledAt":"2026-02-28T23:00:00.000Z","purgeAfterDays":90,"activeSubscriptions":0}`,
		},
		"disabled exactly 24 h ahead of the clock": {
			`{"type":"tenant","id":"a","status":"disabled","disabledAt":"2026-06-02T12:00:00Z","purgeAfterDays":30}`,
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"disabled",` + created + `,"disabledAt":"2026-06-02T12:00:00.000Z","purgeAfterDays":30,"activeSubscriptions":0}`,
		},
		"escapes in text": {
			`{"type":"tenant","id":"\u0061","name":"\"\\\/\u00e9\ud83d\ude00 <&>","status":"active"}`,
			`{"type":"tenant","id":"a","parentId":"","name":"\"\\/é😀 <&>","hostname":"","status":"active",` + created + `,"activeSubscriptions":0}`,
		},
		"a hold without an end, with who and since from the import": {
			`{"type":"tenant","id":"a","status":"active","hold":{"reason":"litigation"}}`,
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"active",` + created + `,"hold":{"reason":"litigation","since":"2026-06-01T12:00:00.000Z","actor":{"id":"importer"}},"activeSubscriptions":0}`,
		},
		"a hold that has ended stays on record": {
			`{"type":"tenant","id":"a","status":"active","hold":{"reason":"x","until":"2020-01-01T00:00:00Z"}}`,
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"active",` + created + `,"hold":{"reason":"x","until":"2020-01-01T00:00:00.000Z","since":"2026-06-01T12:00:00.000Z","actor":{"id":"importer"}},"activeSubscriptions":0}`,
		},
		"hold null is none": {
			`{"type":"tenant","id":"a","status":"active","hold":null}`,
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"active",` + created + `,"activeSubscriptions":0}`,
		},
		"all that an export has": {
			`{"type":"tenant","id":"a","parentId":"","name":"A","hostname":"a.example.com","status":"disabled","createdAt":"2024-03-01T09:00:00.000Z","disabledAt":"2026-01-05T10:00:00.000Z","purgeAfterDays":30,"disabledBy":{"id":"u-7","name":"Ada","email":"ada@example.com"},"hold":{"reason":"r","until":"2027-01-01T00:00:00.000Z","since":"2026-01-06T08:00:00.000Z","actor":{"id":"u-8"}},"activeSubscriptions":1}`,
			`{"type":"tenant","id":"a","parentId":"","name":"A","hostname":"a.example.com","status":"disabled","createdAt":"2024-03-01T09:00:00.000Z","disabledAt":"2026-01-05T10:00:00.000Z","purgeAfterDays":30,"disabledBy":{"id":"u-7","name":"Ada","email":"ada@example.com"},"hold":{"reason":"r","until":"2027-01-01T00:00:00.000Z","since":"2026-01-06T08:00:00.000Z","actor":{"id":"u-8"}},"activeSubscriptions":1}`,
		},
		"reactivated by a person": {
			`{"type":"tenant","id":"a","reactivatedAt":"2026-01-05T11:00:00.0005+01:00","status":"active"}`,
			`{"type":"tenant","id":"a","parentId":"","name":"","hostname":"","status":"active",` + created + `,"reactivatedAt":"2026-01-05T10:00:00.000Z","activeSubscriptions":0}`,
		},
		"data as it is but for white space": {
			activeLine("t", "") + `{"type":"apiKey","tenantId":"t","id":"k","data": { "z":1.50e+2 , "a":[ ], "z":"\ud800 \u0041<", "n":1e999 } }`,
			`{"type":"tenant","id":"t","parentId":"","name":"","hostname":"","status":"active",` + created + `,"activeSubscriptions":0}` + "\n" +
				`{"type":"apiKey","tenantId":"t","id":"k","data":{"z":1.50e+2,"a":[],"z":"\ud800 \u0041<","n":1e999}}`,
		},
		"no data": {
			activeLine("t", "") + `{"type":"credential","tenantId":"t","id":"k"}`,
			`{"type":"tenant","id":"t","parentId":"","name":"","hostname":"","status":"active",` + created + `,"activeSubscriptions":0}` + "\n" +
				`{"type":"credential","tenantId":"t","id":"k","data":{}}`,
		},
		"one id for resources of different kinds and tenants, and for a tenant": {
			activeLine("x", "") + activeLine("y", "") + `{"type":"user","tenantId":"x","id":"x"}` + "\n" + `{"type":"apiKey","tenantId":"x","id":"x"}` + "\n" + `{"type":"user","tenantId":"y","id":"x"}`,
			`{"type":"tenant","id":"x","parentId":"","name":"","hostname":"","status":"active",` + created + `,"activeSubscriptions":0}` + "\n" +
				`{"type":"apiKey","tenantId":"x","id":"x","data":{}}` + "\n" +
				`{"type":"user","tenantId":"x","id":"x","data":{}}` + "\n" +
				`{"type":"tenant","id":"y","parentId":"","name":"","hostname":"","status":"active",` + created + `,"activeSubscriptions":0}` + "\n" +
				`{"type":"user","tenantId":"y","id":"x","data":{}}`,
		},
		"nothing at all": {"", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := openStore(t)
			sum := mustImport(t, s, tc.in)
			if !sum.Complete || gateClosed(t, s) {
				t.Errorf("summary %+v, gate closed: %v", sum, gateClosed(t, s))
			}
			if got := strings.TrimSuffix(exportText(t, s), "\n"); got != tc.want {
				t.Errorf("exported\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestImport_TakesGraceFromOptions(t *testing.T) {
	s := openStore(t)
	grace := func(o *ImportOptions) { o.Grace = store.Grace{Min: 1, Max: 5, Default: 2} }
	text := `{"type":"tenant","id":"a","status":"disabled","disabledAt":"2026-01-05T10:00:00Z","purgeAfterDays":1}` + "\n" +
		`{"type":"tenant","id":"b","status":"disabled","disabledAt":"2026-01-05T10:00:00Z","purgeAfterDays":5}` + "\n"
	mustImport(t, s, text, grace)
	if got := exportText(t, s); !strings.Contains(got, `"purgeAfterDays":1,`) || !strings.Contains(got, `"purgeAfterDays":5,`) {
		t.Errorf("exported\n%s", got)
	}
	_, err := importText(s, disabledLine("c", "", 6), grace)
	wantErrors(t, err, store.Invalid, `line 1: "c": purgeAfterDays 6: want 1 to 5`)
}
