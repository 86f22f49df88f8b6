package store_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestAnImportRevivesNoDeadToken: one that a line names is not pushed out by
// the others of the line, for it would come back as a new one.
func TestAnImportRevivesNoDeadToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, token := range []string{"dead", "other"} {
		w.register(t, "anna", token)
	}
	w.clock.Add(time.Minute)
	w.flag(t, "m", "anna", "dead", w.clock.Now())
	w.flag(t, "m", "anna", "other", w.clock.Now())
	var line []push.Registration
	for i := range push.MaxTokens - 1 {
		line = append(line, a(fmt.Sprintf("t%d", i)))
	}
	full := importLine(t, "anna", `{}`, append(line, a("dead"))...)
	for range 2 {
		refused, _ := w.imports(t, full)
		if c := w.customer(t, "anna"); refused[0] != nil || len(c.Tokens) != push.MaxTokens || w.tokenOf(t, "anna", "dead").Valid() {
			t.Errorf("%v; %d tokens, the dead one valid: %v", refused[0], len(c.Tokens), w.tokenOf(t, "anna", "dead").Valid())
		}
	}
	w.register(t, "bert", "valid")
	w.register(t, "bert", "dead too")
	w.clock.Add(time.Minute)
	w.flag(t, "m", "bert", "dead too", w.clock.Now())
	before := w.dump(t)
	for i := range line {
		line[i] = a(fmt.Sprintf("b%d", i))
	}
	if refused, _ := w.imports(t, importLine(t, "bert", `{}`, append(line, a("dead too"))...)); refused[0] == nil || !reflect.DeepEqual(w.dump(t), before) {
		t.Errorf("21 tokens, a dead one among them, came to %v", refused[0])
	}
}

// TestAFileKnowsNothingOfTheFuture: a time to come does not take a phone from
// whoever has it.
func TestAFileKnowsNothingOfTheFuture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "bert", "phone")
	w.clock.Add(time.Hour)
	future := w.clock.Now().Add(24 * time.Hour)
	for _, r := range []push.Registration{{AddedAt: future}, {SeenAt: future}} {
		r.Kind, r.Value = push.KindToken, "phone"
		if refused, events := w.imports(t, importLine(t, "anna", `{}`, r)); refused[0] == nil || len(events) != 0 {
			t.Errorf("taken from bert: %v, %s", refused[0], kinds(events))
		}
	}
	w.tokenOf(t, "bert", "phone")
	mine := push.Registration{Kind: push.KindToken, Value: "mine", AddedAt: future, SeenAt: future}
	if refused, _ := w.imports(t, importLine(t, "anna", `{}`, mine)); refused[0] != nil || !w.tokenOf(t, "anna", "mine").SeenAt.Equal(w.clock.Now()) {
		t.Errorf("%v, %+v", refused[0], w.tokenOf(t, "anna", "mine"))
	}
}
