package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

func TestStopStack_StopsTheLastOneFirstAndTellsEveryError(t *testing.T) {
	s := stopStack{logger: zap.NewNop()}
	var order []string
	first, second := errors.New("first"), errors.New("second")
	for _, step := range []struct {
		name string
		err  error
	}{{"store", first}, {"socket", nil}, {"web", second}} {
		s.push(step.name, time.Minute, func(context.Context) error {
			order = append(order, step.name)
			return step.err
		})
	}
	err := s.unwind()
	if want := []string{"web", "socket", "store"}; !slices.Equal(order, want) {
		t.Errorf("stopped in the order %v; want %v", order, want)
	}
	if !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("the error is %v; want both", err)
	}
	if !strings.Contains(err.Error(), "stop web: second") {
		t.Errorf("the error is %v; want the name of the step in it", err)
	}
	if err := s.unwind(); err != nil || len(order) != 3 {
		t.Errorf("a second time: %v, %v; want nothing", err, order)
	}
}

func TestStopStack_LeavesAStepBehindAtItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stopStack{logger: zap.NewNop()}
		stopped := false
		s.push("below", time.Second, func(context.Context) error { stopped = true; return nil })
		hung := make(chan struct{})
		s.push("hung", 5*time.Second, func(context.Context) error { <-hung; return nil })
		began := time.Now()
		err := s.unwind()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("it took %s; want exactly the bound", took)
		}
		if err == nil || !strings.Contains(err.Error(), "stop hung: did not end within 5s") {
			t.Errorf("the error is %v", err)
		}
		if !stopped {
			t.Error("the step below was not stopped")
		}
		close(hung)
	})
}

func TestStopStack_StepJustWithinItsBoundIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stopStack{logger: zap.NewNop()}
		s.push("slow", 5*time.Second, func(ctx context.Context) error {
			select {
			case <-time.After(5*time.Second - time.Nanosecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err := s.unwind(); err != nil {
			t.Error(err)
		}
	})
}
