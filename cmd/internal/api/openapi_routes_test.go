package api

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/ndjson"
)

// beside are the operations that are no endpoints of the API's own table.
func beside() []string {
	return []string{"GET /access", "GET /-/healthy", "GET /-/ready", "POST /-/reload", "PUT /-/reload", "GET /metrics", "GET /", "GET " + DescriptionPath}
}

// TestOpenAPI_HasEveryRouteAndNoOther compares the document with the table of
// endpoints: methods, paths, roles, parameters, and whether there is a body and an
// Idempotency-Key.
func TestOpenAPI_HasEveryRouteAndNoOther(t *testing.T) {
	operations := described().operations()
	for _, what := range beside() {
		if _, ok := operations[what]; !ok {
			t.Errorf("%s is not in the document", what)
		}
		delete(operations, what)
	}
	for _, e := range (&server{}).endpoints() {
		what := e.method + " " + e.url()
		o, ok := operations[what]
		if !ok {
			t.Errorf("%s is not in the document", what)
			continue
		}
		delete(operations, what)
		if got := o.get("x-role").text(); got != string(e.role) {
			t.Errorf("%s: x-role %q, want %q", what, got, e.role)
		}
		var inQuery, inPath, variables []string
		headers := map[string]bool{}
		for _, p := range o.parameters() {
			switch name := p.get("name").text(); p.get("in").text() {
			case "query":
				inQuery = append(inQuery, name)
			case "path":
				inPath = append(inPath, name)
			case "header":
				headers[strings.ToLower(name)] = true
			}
		}
		for _, segment := range strings.Split(e.path, "/") {
			if strings.HasPrefix(segment, "{") {
				variables = append(variables, strings.Trim(segment, "{}"))
			}
		}
		slices.Sort(inQuery)
		if d := cmp.Diff(slices.Sorted(slices.Values(e.params)), inQuery); d != "" {
			t.Errorf("%s: parameters of the query (-route.go +document):\n%s", what, d)
		}
		if d := cmp.Diff(variables, inPath); d != "" {
			t.Errorf("%s: parameters of the path (-route.go +document):\n%s", what, d)
		}
		if got := o.get("requestBody").there(); got != (e.body != noBody) {
			t.Errorf("%s: a body in the document: %t", what, got)
		}
		key := (e.method == "POST" || e.method == "DELETE") && e.body != unkeptBody
		if headers["idempotency-key"] != key || !headers["x-tenantid"] || !headers["traceparent"] {
			t.Errorf("%s: headers %v", what, headers)
		}
	}
	for what := range operations {
		t.Errorf("%s is in the document and not served", what)
	}
}

// wireTypes are the types whose JSON the schemas describe.
func wireTypes() map[string]any {
	return map[string]any{
		"Actor": store.Actor{}, "Approval": client.Approval{}, "ApprovalPage": client.ApprovalPage{}, "ApprovalOutcome": store.ApprovalOutcome{}, "Accepted": client.Accepted{},
		"AuditEntry": store.Entry{}, "AuditPage": client.AuditPage{}, "AuditRef": store.AuditRef{}, "Block": store.Block{},
		"CheckResult": client.CheckResult{}, "ClosedGate": store.Gate{}, "Compaction": client.Compaction{}, "Counts": store.Counts{}, "Differences": store.Counts{},
		"Deactivated": client.Deactivated{}, "DeactivateRequest": client.DeactivateRequest{}, "DeletedBy": client.DeletedBy{},
		"DeletedTenant": client.DeletedTenant{}, "Deletion": client.Deletion{}, "Error": client.ErrorBody{}, "ExportSummary": client.ExportSummary{},
		"FileSize": client.FileSize{}, "Forgotten": client.Forgotten{}, "Gates": store.Gates{}, "Halt": store.Halt{}, "Hold": client.Hold{}, "HoldRequest": client.HoldRequest{},
		"Import": store.Import{}, "ImportConflict": ndjson.Conflict{}, "ImportEvent": client.ImportEvent{}, "ImportProgress": client.ImportProgress{}, "ImportSummary": client.ImportSummary{},
		"Links": client.Links{}, "Meta": client.Meta{}, "NewTenant": client.NewTenant{}, "Pause": store.Pause{}, "PauseRequest": client.PauseRequest{},
		"Pending": client.Pending{}, "PendingCall": client.PendingCall{}, "Problem": client.Problem{}, "Progress": store.Progress{}, "Purge": client.Purge{},
		"Reactivated": client.Reactivated{}, "Receipt": store.Receipt{}, "RejectRequest": client.RejectRequest{}, "Report": client.Report{}, "ResumeRequest": client.ResumeRequest{}, "Row": client.Row{},
		"Run": store.Run{}, "RunPage": client.RunPage{}, "Running": client.Running{}, "ServiceStatus": client.Status{}, "Source": client.Source{},
		"Space": store.Space{}, "Stats": client.Stats{}, "Tally": client.Tally{}, "Tenant": client.Tenant{}, "TenantPage": client.TenantPage{}, "TenantState": client.TenantState{},
		"Token": client.Token{}, "TokenRequest": client.TokenRequest{}, "Totals": client.Totals{}, "AccessRefused": deactivated{},
		"Target": client.Target{}, "TargetPage": client.TargetPage{}, "TargetCheck": client.TargetCheck{}, "TargetProgress": client.TargetProgress{},
		"Finding": purge.Finding{}, "Findings": client.Findings{}, "SourceState": store.SourceState{}, "Sync": store.Sync{}, "SyncCounts": store.SyncCounts{},
		"Acceptance": store.Acceptance{}, "AcceptRequest": client.AcceptRequest{}, "DeadLetter": store.DeadLetter{},
	}
}

// TestOpenAPI_SchemasHaveTheMembersOfTheTypes compares each schema of an object
// with the type that is encoded: the same members, and those that are always there
// required.
func TestOpenAPI_SchemasHaveTheMembersOfTheTypes(t *testing.T) {
	beyond := map[string][]string{"NewTenant": {"datacenter", "licenseKey"}} // taken and not kept
	schemas := described().at("/components/schemas")
	types := wireTypes()
	for name, v := range types {
		schema := schemas.get(name)
		always, all := membersOf(reflect.TypeOf(v))
		all = append(all, beyond[name]...)
		slices.Sort(all)
		if d := cmp.Diff(all, schema.get("properties").members()); d != "" {
			t.Errorf("%s: members (-type +document):\n%s", name, d)
		}
		required := decodeAs[[]string](t, schema.get("required"))
		for _, member := range always {
			if !slices.Contains(required, member) {
				t.Errorf("%s: %s is always there and not required", name, member)
			}
		}
	}
	for _, name := range schemas.members() {
		_, object := schemas.get(name).value.(map[string]any)["properties"]
		if _, ok := types[name]; object && !ok {
			t.Errorf("%s: not compared with a type", name)
		}
	}
}

// membersOf returns the names of the JSON members of a type.
func membersOf(typ reflect.Type) (always, all []string) {
	for f := range typ.Fields() {
		if f.Anonymous {
			below, more := membersOf(f.Type)
			always, all = append(always, below...), append(all, more...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, name)
		if !strings.HasPrefix(options, "omit") {
			always = append(always, name)
		}
	}
	return always, all
}

// TestOpenAPI_WordsAreThoseOfTheCode compares enumerations and bounds.
func TestOpenAPI_WordsAreThoseOfTheCode(t *testing.T) {
	schemas := described().at("/components/schemas")
	for at, want := range map[string][]string{
		"Status/enum":                           texts(store.Statuses()),
		"Role/enum":                             texts(client.Roles()),
		"Result/enum":                           texts(purge.Results()),
		"Trigger/enum":                          texts(purge.Triggers()),
		"Block/properties/reason/enum":          texts(store.BlockReasons()),
		"Problem/properties/code/enum":          texts(slices.Collect(maps.Keys(codes()))),
		"ClosedGate/properties/reason/enum":     texts([]store.GateReason{store.GatePaused, store.GateHalted, store.GateImport, store.GateSpace}),
		"Record/oneOf/1/properties/type/enum":   texts(store.Kinds()),
		"TokenRequest/properties/role/enum":     texts(client.Roles()[1:]),
		"TargetProgress/properties/reason/enum": texts(purge.PostponeReasons()),
		"Kind/enum":                             texts(store.Kinds()),
		"Finding/properties/severity/enum":      texts([]purge.Severity{purge.SeverityError, purge.SeverityWarning, purge.SeverityInfo}),
		"Sync/properties/result/enum":           texts([]store.SyncResult{store.SyncGood, store.SyncRefused, store.SyncFailed}),
		"Row/properties/outcome/enum":           texts([]purge.Outcome{purge.OutcomeDeleted, purge.OutcomeBlocked, purge.OutcomeFailed, purge.OutcomeRetrying}),
	} {
		got := decodeAs[[]string](t, described().pointer(schemas.at+"/"+at))
		if d := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); d != "" {
			t.Errorf("%s (-code +document):\n%s", at, d)
		}
	}
	for at, want := range map[string]float64{
		"/components/schemas/TokenRequest/properties/seconds/maximum":             MaxTokenLife.Seconds(),
		"/components/schemas/NewTenant/properties/name/maxLength":                 store.MaxNameLength,
		"/components/schemas/Hostname/maxLength":                                  store.MaxHostnameLength,
		"/components/schemas/Patch/maxItems":                                      maxPatch,
		"/components/parameters/IdempotencyKey/schema/maxLength":                  client.MaxIdempotencyKey,
		"/paths/~1api~1v1~1tenants/get/parameters/5/schema/maximum":               store.MaxPage,
		"/paths/~1api~1v1~1tenants/get/parameters/5/schema/default":               client.DefaultPage,
		"/paths/~1api~1v1~1purges/get/parameters/0/schema/maximum":                keptRuns,
		"/paths/~1api~1v1~1audit/get/parameters/1/schema/maximum":                 store.MaxPage,
		"/components/schemas/ApprovalPage/properties/data/maxItems":               store.MaxApprovals,
		"/components/schemas/TenantPage/properties/data/maxItems":                 store.MaxPage,
		"/components/schemas/AuditPage/properties/data/maxItems":                  store.MaxPage,
		"/components/schemas/RunPage/properties/data/maxItems":                    keptRuns,
		"/components/schemas/NewTenant/properties/datacenter/maxLength":           16 << 10,
		"/components/schemas/DeactivateRequest/properties/purgeAfterDays/minimum": 1,
	} {
		if got := decodeAs[float64](t, described().pointer(at)); got != want {
			t.Errorf("%s: %v, want %v", at, got, want)
		}
	}
}

// pointer is at for a pointer that may go through arrays.
func (d *document) pointer(at string) node {
	n := node{d, "", d.root}
	for _, token := range strings.Split(at, "/")[1:] {
		if list := n.items; reflect.TypeOf(n.value).Kind() == reflect.Slice {
			n = list()[token[0]-'0']
			continue
		}
		n = n.get(strings.NewReplacer("~1", "/", "~0", "~").Replace(token))
	}
	return n
}

// texts returns words as strings.
func texts[T ~string](words []T) []string {
	var all []string
	for _, w := range words {
		all = append(all, string(w))
	}
	return all
}
