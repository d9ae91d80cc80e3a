package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/tenantpurge/purger/cmd/internal/config"
)

func TestSettings_EveryFieldIsEitherLiveOrNamedAsNeedingARestart(t *testing.T) {
	now, next := config.Default(), config.Default()
	changeAll(t, reflect.ValueOf(&next).Elem())
	kept := keepRestartOnly(now, next)
	if keys := restartOnly(now, kept); len(keys) > 0 {
		t.Errorf("kept, and changed all the same: %v", keys)
	}
	if keys := restartOnly(now, next); len(keys) != 11 {
		t.Errorf("fields that need a restart: %v; want 11", keys)
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
		list := reflect.MakeSlice(v.Type(), 1, 1)
		changeAll(t, list.Index(0))
		v.Set(list)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		changeAll(t, v.Elem())
	case reflect.Interface:
		v.Set(reflect.ValueOf("x"))
	default:
		t.Fatalf("a field of kind %s: say how it changes", v.Kind())
	}
}

func TestSettings_WhatNeedsARestartKeepsWhatIsLiveWithinIt(t *testing.T) {
	now, next := config.Default(), config.Default()
	now.Targets = []config.Target{{Name: "crm", Type: "rest"}, {Name: "mail", Type: "rest"}}
	next.Targets = []config.Target{{Name: "new", Type: "rest"}, {Name: "crm", Type: "scim", Policy: config.TargetPolicy{Rate: 7}}}
	now.Source = &config.Source{Type: "rest", MaxChange: 0.2}
	next.Source = &config.Source{Type: "postgres", MaxChange: 0.5, MaxChangeFloor: 9, SyncTimeout: time.Hour, MaxAge: time.Minute}
	kept := keepRestartOnly(now, next)
	want := []config.Target{{Name: "crm", Type: "rest", Policy: config.TargetPolicy{Rate: 7}}, {Name: "mail", Type: "rest"}}
	if !reflect.DeepEqual(kept.Targets, want) {
		t.Errorf("targets %+v; want %+v", kept.Targets, want)
	}
	if want := (config.Source{Type: "rest", MaxChange: 0.5, MaxChangeFloor: 9, SyncTimeout: time.Hour, MaxAge: time.Minute}); *kept.Source != want {
		t.Errorf("source %+v; want %+v", *kept.Source, want)
	}
	if now.Targets[0].Policy.Rate != 0 || now.Source.MaxChange != 0.2 {
		t.Error("the configuration in force was changed in its place")
	}
	next.Source = nil
	if kept := keepRestartOnly(now, next); kept.Source != now.Source {
		t.Errorf("source %+v; want it kept", kept.Source)
	}
}
