package api

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tenantpurge/purger/store"
)

// phase is how far a tenant is, as far as the rules of the race tell.
type phase uint8

const (
	phaseActive phase = iota
	phaseDisabled
	phasePurging
	phaseDeleted
)

// life is a state of one tenant: what its record says.
type life struct {
	phase   phase
	version int64
	due     bool // a pass may claim it
}

// verb is what somebody did with a tenant.
type verb string

const (
	verbDeactivate verb = "deactivate" // begins the grace period anew
	verbReactivate verb = "reactivate"
	verbPut        verb = "put"
	verbGet        verb = "get"
	verbTombstone  verb = "get tombstone"
	verbCreate     verb = "create again"
	verbDelete     verb = "delete"
	// What the engine did, for a deletion or in a pass.
	verbClaim  verb = "claim"
	verbErase  verb = "erase" // a target has removed something
	verbFinish verb = "finish"
)

// act is what was asked for.
type act struct {
	verb    verb
	tenant  string
	version int64 // expected, of verbPut
	enabled bool  // of verbPut, true of verbReactivate
	due     bool  // of verbDeactivate: the date has come at once; of verbClaim: it must have
}

// heard is what was answered.
type heard struct {
	code    store.Code // "" for a success
	status  store.Status
	version int64 // after a change, too, or which a refusal names; 0 of what is none
}

// lifeModel is what G2 says of one tenant, whatever comes at the same time. Once it
// is claimed there is no way back, and nothing is erased before.
func lifeModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byTenant := map[string][]porcupine.Operation{}
			for _, o := range history {
				id := o.Input.(act).tenant
				byTenant[id] = append(byTenant[id], o)
			}
			return slices.Collect(maps.Values(byTenant))
		},
		Init: func() any { return life{version: 1} },
		Step: func(state, input, output any) (bool, any) {
			next, ok := state.(life).after(input.(act), output.(heard))
			return ok, next
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	}
}

// after returns the state that follows, and false if the answer is wrong in this one.
func (s life) after(a act, t heard) (next life, ok bool) {
	status := map[phase]store.Status{
		phaseActive: store.StatusActive, phaseDisabled: store.StatusDisabled, phasePurging: store.StatusPurging, phaseDeleted: store.StatusDeleted,
	}[s.phase]
	switch {
	case t.code == store.Gone:
		return s, s.phase == phaseDeleted
	case a.verb == verbCreate: // anything else says only that it was not purged yet
		return s, false
	case a.verb == verbGet || a.verb == verbTombstone:
		return s, t.code == "" && t.status == status && t.version == s.version && (s.phase != phaseDeleted || a.verb == verbTombstone)
	case a.verb == verbErase:
		return s, s.phase == phasePurging
	case a.verb == verbClaim && t.status == store.StatusDeleted: // which has finished it at once
		return life{phaseDeleted, s.version + 2, false}, s.phase == phaseDisabled && (s.due || !a.due) && t.version == s.version+2
	case a.verb == verbClaim:
		return life{phasePurging, s.version + 1, false}, s.phase == phaseDisabled && (s.due || !a.due) && t.version == s.version+1
	case a.verb == verbFinish:
		return life{phaseDeleted, s.version + 1, false}, s.phase == phasePurging && t.version == s.version+1
	case a.verb == verbDelete && t.code == "":
		return s, s.phase == phaseDeleted
	case a.verb == verbDelete && t.code == store.Precondition:
		return s, s.phase == phaseActive
	case t.code == store.Conflict && t.version == 0: // it is being purged
		return s, s.phase == phasePurging && a.verb == verbDelete
	case t.code == store.Conflict: // it changed meanwhile
		return s, s.phase != phaseDeleted && t.version == s.version && t.version != a.version
	case t.code == store.Precondition:
		return s, s.phase == phasePurging
	}
	return s.changed(a, t)
}

// changed returns the state after a change that was acknowledged, which is the same
// where there was nothing to change.
func (s life) changed(a act, t heard) (next life, ok bool) {
	next = s
	switch {
	case t.code != "" || s.phase != phaseActive && s.phase != phaseDisabled || a.verb == verbPut && s.version != a.version:
		return s, false
	case a.verb == verbDeactivate:
		next.phase, next.due = phaseDisabled, a.due
		if next != s || t.version != s.version { // by the same person within a millisecond nothing changes
			next.version++
		}
	case a.enabled && s.phase == phaseDisabled:
		next = life{phaseActive, s.version + 1, false}
	case !a.enabled && s.phase == phaseActive:
		next = life{phaseDisabled, s.version + 1, true}
	}
	return next, next.version == t.version
}

// history is what happened, in the time of one process. It is safe for concurrent
// use.
type history struct {
	began time.Time

	mu   sync.Mutex
	list []porcupine.Operation
}

// now returns the time since the beginning.
func (h *history) now() int64 { return int64(time.Since(h.began)) }

// add adds something that began at an instant and ends now.
func (h *history) add(client int, a act, call int64, t heard) {
	end := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, porcupine.Operation{ClientId: client, Input: a, Call: call, Output: t, Return: end})
}

// tighten narrows the times between which calls may have taken effect, so that the
// checker finds the order at once, if there is one, instead of trying all subsets of
// what commutes. Versions only grow: what has seen or made a version did so after the
// call of everything that has seen or made a lower one, and before the return of
// everything that has seen or made a higher one.
func tighten(part []porcupine.Operation) {
	// The versions that a claim has found and made, and that of the tombstone.
	var last, claimed, deleted int64
	for _, o := range part {
		switch a, t := o.Input.(act), o.Output.(heard); {
		case a.verb == verbClaim && t.status == store.StatusDeleted:
			last, claimed, deleted = t.version-2, t.version, t.version
		case a.verb == verbClaim:
			last, claimed = t.version-1, t.version
		case a.verb == verbFinish:
			deleted = t.version
		}
	}
	byVersion := map[int64][]*porcupine.Operation{}
	var active []*porcupine.Operation // have seen an active tenant, of whatever version
	for i := range part {
		a, t := part[i].Input.(act), part[i].Output.(heard)
		version := t.version
		switch {
		case t.code == store.Gone || a.verb == verbDelete && t.code == "":
			version = deleted
		case a.verb == verbDelete && t.code == store.Precondition:
			active = append(active, &part[i])
		case a.verb == verbErase || version == 0 && (t.code == store.Conflict || t.code == store.Precondition):
			version = claimed // it has seen a purge under way
		}
		if version > 0 {
			byVersion[version] = append(byVersion[version], &part[i])
		}
	}
	versions := slices.Sorted(maps.Keys(byVersion))
	var latest int64
	for _, version := range versions {
		lower := latest
		for _, o := range byVersion[version] {
			o.Call = min(max(o.Call, lower+1), o.Return)
			latest = max(latest, o.Call)
		}
	}
	var earliest int64 = math.MaxInt64
	for _, version := range slices.Backward(versions) {
		upper := earliest
		for _, o := range byVersion[version] {
			o.Return = max(min(o.Return, upper), o.Call)
			earliest = min(earliest, o.Return)
		}
		if last > 0 && version >= last { // from then on it was never active again
			for _, o := range active {
				o.Return = max(min(o.Return, earliest), o.Call)
			}
		}
	}
}

// check fails the test unless the history is one of the model.
func (h *history) check(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	model := lifeModel()
	for _, part := range model.Partition(h.list) {
		tighten(part)
		got, info := porcupine.CheckOperationsVerbose(model, part, 5*time.Second)
		if got == porcupine.Ok {
			continue
		}
		t.Errorf("the history of tenant %q, of %d calls, is %s; as far as it goes:", part[0].Input.(act).tenant, len(part), got)
		placed := longest(info.PartialLinearizationsOperations())
		for _, o := range placed {
			t.Log(line(model, o))
		}
		t.Log("and has no place for one of:")
		for _, o := range part {
			if !slices.ContainsFunc(placed, func(p porcupine.Operation) bool { return p == o }) {
				t.Log(line(model, o))
			}
		}
		return
	}
}

// longest returns the longest order of calls that the checker has found.
func longest(parts [][][]porcupine.Operation) []porcupine.Operation {
	var best []porcupine.Operation
	for _, part := range parts {
		for _, order := range part {
			if len(order) > len(best) {
				best = order
			}
		}
	}
	return best
}

// line renders a call.
func line(model porcupine.Model, o porcupine.Operation) string {
	return fmt.Sprintf("%8.3f to %8.3f ms, client %d: %s", float64(o.Call)/1e6, float64(o.Return)/1e6, o.ClientId, model.DescribeOperation(o.Input, o.Output))
}

// TestHistory_TheModelTellsABrokenRule gives the checker histories, each the
// smallest in which one rule is broken, beside one that keeps it.
func TestHistory_TheModelTellsABrokenRule(t *testing.T) {
	deactivate, reactivate := act{verb: verbDeactivate, due: true}, act{verb: verbReactivate, enabled: true}
	get, stone, erase, finish := act{verb: verbGet}, act{verb: verbTombstone}, act{verb: verbErase}, act{verb: verbFinish}
	claim, gone := act{verb: verbClaim, due: true}, heard{code: store.Gone}
	v := func(n int64) heard { return heard{version: n} }
	ok := v(0)
	type step struct {
		act
		heard
	}
	at := func(s store.Status, version int64) heard { return heard{status: s, version: version} }
	for _, c := range []struct {
		rule  string
		steps []step
		want  porcupine.CheckResult
	}{
		{"a pass claims what is due, erases and finishes", []step{{deactivate, v(2)}, {claim, v(3)}, {erase, ok}, {finish, v(4)}, {get, gone}, {stone, at(store.StatusDeleted, 4)}}, porcupine.Ok},
		{"an acknowledged reactivation: nothing is erased", []step{{deactivate, v(2)}, {reactivate, v(3)}, {erase, ok}}, porcupine.Illegal},
		{"an acknowledged reactivation: nothing is claimed", []step{{deactivate, v(2)}, {reactivate, v(3)}, {claim, v(4)}}, porcupine.Illegal},
		{"once something is erased reactivation is refused", []step{{deactivate, v(2)}, {claim, v(3)}, {erase, ok}, {reactivate, v(4)}}, porcupine.Illegal},
		{"it is refused as one in progress", []step{{deactivate, v(2)}, {claim, v(3)}, {erase, ok}, {reactivate, heard{code: store.Precondition}}}, porcupine.Ok},
		{"it is not refused without a claim", []step{{deactivate, v(2)}, {reactivate, heard{code: store.Precondition}}}, porcupine.Illegal},
		{"nothing is erased without a claim", []step{{deactivate, v(2)}, {erase, ok}}, porcupine.Illegal},
		{"a pass does not claim what is not due", []step{{act{verb: verbDeactivate}, v(2)}, {claim, v(3)}}, porcupine.Illegal},
		{"a deletion overrules the date", []step{{act{verb: verbDeactivate}, v(2)}, {act{verb: verbClaim}, heard{"", store.StatusDeleted, 4}}, {act{verb: verbDelete}, ok}}, porcupine.Ok},
		{"it does not claim what is active", []step{{act{verb: verbClaim}, v(2)}}, porcupine.Illegal},
		{"nothing is erased after the end", []step{{deactivate, v(2)}, {claim, v(3)}, {finish, v(4)}, {erase, ok}}, porcupine.Illegal},
		{"a purge is final", []step{{deactivate, v(2)}, {claim, v(3)}, {get, gone}}, porcupine.Illegal},
		{"what is gone stays so", []step{{deactivate, v(2)}, {claim, v(3)}, {finish, v(4)}, {get, at(store.StatusDisabled, 2)}}, porcupine.Illegal},
		{"its id is not given again", []step{{deactivate, v(2)}, {claim, v(3)}, {finish, v(4)}, {act{verb: verbCreate}, ok}}, porcupine.Illegal},
		{"the version grows with a change", []step{{deactivate, v(2)}, {get, at(store.StatusDisabled, 1)}}, porcupine.Illegal},
		{"and by one", []step{{deactivate, v(2)}, {reactivate, v(3)}, {get, at(store.StatusActive, 3)}}, porcupine.Ok},
		{"a stale version is refused", []step{{deactivate, v(2)}, {act{verb: verbPut, version: 1, enabled: true}, at(store.StatusActive, 3)}}, porcupine.Illegal},
		{"a fresh one is not", []step{{get, at(store.StatusActive, 1)}, {act{verb: verbPut, version: 1}, heard{code: store.Conflict, version: 1}}}, porcupine.Illegal},
	} {
		h := &history{}
		for i, s := range c.steps {
			h.list = append(h.list, porcupine.Operation{Input: s.act, Call: int64(2 * i), Output: s.heard, Return: int64(2*i + 1)})
		}
		for _, tight := range []bool{false, true} {
			if tight {
				tighten(h.list)
			}
			if got := porcupine.CheckOperationsTimeout(lifeModel(), h.list, time.Minute); got != c.want {
				t.Errorf("%s: the history, tightened: %t, is %s, want %s", c.rule, tight, got, c.want)
			}
		}
	}
}

// TestHistory_IsJudgedInTime gives the checker a history in which a deletion that was
// refused has its place before everything that the checker tries first, beside many
// calls that may come in any order; and one in which it has none.
func TestHistory_IsJudgedInTime(t *testing.T) {
	for seen, want := range map[int64]porcupine.CheckResult{0: porcupine.Ok, 16: porcupine.Illegal} {
		operation := func(a act, call int64, answer heard, end int64) porcupine.Operation {
			return porcupine.Operation{Input: a, Call: call, Output: answer, Return: end}
		}
		list := []porcupine.Operation{
			operation(act{verb: verbDeactivate}, 0, heard{version: 2}, 20),
			operation(act{verb: verbDelete}, 5+seen, heard{code: store.Precondition}, 200),
			operation(act{verb: verbClaim}, 6, heard{"", store.StatusDeleted, 4}, 25),
		}
		for i := range int64(60) {
			list = append(list, operation(act{verb: verbGet}, 7+i, heard{code: store.Gone}, 201+i))
		}
		tighten(list)
		if got := porcupine.CheckOperationsTimeout(lifeModel(), list, time.Minute); got != want {
			t.Errorf("a deletion that began at %d: the history is %s, want %s", 5+seen, got, want)
		}
	}
}
