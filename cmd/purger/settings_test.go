package main

import (
	"reflect"
	"testing"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

func TestSettings_EveryFieldIsEitherLiveOrNamedAsNeedingARestart(t *testing.T) {
	now, next := config.Default(), config.Default()
	changeAll(t, reflect.ValueOf(&next).Elem())
	kept := keepRestartOnly(now, next)
	if keys := restartOnly(now, kept); len(keys) > 0 {
		t.Errorf("kept, and changed all the same: %v", keys)
	}
	if keys := restartOnly(now, next); len(keys) != 9 {
		t.Errorf("fields that need a restart: %v; want 9", keys)
	}
	// What remains changed is what a reload applies: nothing else may.
	live := config.Default()
	live.Log.Level = next.Log.Level
	live.Tenants, live.Purge, live.Limits, live.API = next.Tenants, next.Purge, next.Limits, next.API
	live.Purge.DrainTimeout = now.Purge.DrainTimeout
	live.Store.CompactAfter = next.Store.CompactAfter
	if !reflect.DeepEqual(kept, live) {
		t.Errorf("in force after a reload:\n%+v\nwant\n%+v", kept, live)
	}
}

// changeAll changes every field below v.
func changeAll(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			changeAll(t, v.Field(i))
		}
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Map:
		x := reflect.ValueOf("x")
		m := reflect.MakeMap(v.Type())
		m.SetMapIndex(x.Convert(v.Type().Key()), x.Convert(v.Type().Elem()))
		v.Set(m)
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"x"}))
	default:
		t.Fatalf("a field of kind %s: say how it changes", v.Kind())
	}
}
