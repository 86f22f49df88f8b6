package store_test

import (
	"fmt"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestImportKeepsFlags: one that a line names is not pushed out by
// the others of the line, for it would come back as a new one.
func TestImportKeepsFlags(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for _, token := range []string{"flagged", "other"} {
		w.register(t, "anna", token)
	}
	w.clock.Add(time.Minute)
	w.flag(t, "m", "anna", "flagged", w.clock.Now())
	w.flag(t, "m", "anna", "other", w.clock.Now())
	var line []push.Registration
	for i := range push.MaxTokens - 1 {
		line = append(line, a(fmt.Sprintf("t%d", i)))
	}
	full := importLine(t, "anna", `{}`, append(line, a("flagged"))...)
	for i := range 2 {
		refused, _ := w.imports(t, full)
		if refused[0] != nil {
			t.Errorf("import %d of as many tokens as a customer may have: %v, want no error", i+1, refused[0])
		}
		check.Equal(t, len(w.customer(t, "anna").Tokens), push.MaxTokens, "number of tokens after import %d", i+1)
		check.Equal(t, w.tokenOf(t, "anna", "flagged").Valid(), false, "whether the flagged token is valid after import %d", i+1)
	}
	w.register(t, "bert", "valid")
	w.register(t, "bert", "flagged too")
	w.clock.Add(time.Minute)
	w.flag(t, "m", "bert", "flagged too", w.clock.Now())
	before := w.dump(t)
	for i := range line {
		line[i] = a(fmt.Sprintf("b%d", i))
	}
	refused, _ := w.imports(t, importLine(t, "bert", `{}`, append(line, a("flagged too"))...))
	if refused[0] == nil {
		t.Error("a line with one valid token too many beside a flagged one was stored, want it refused")
	}
	check.Equal(t, w.dump(t), before, "documents after the refused line")
}

// TestImportIgnoresFutureTimes: a time in the future does not take a token from another
// customer.
func TestImportIgnoresFutureTimes(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "bert", "phone")
	w.clock.Add(time.Hour)
	future := w.clock.Now().Add(24 * time.Hour)
	for _, r := range []push.Registration{{AddedAt: future}, {SeenAt: future}} {
		r.Kind, r.Value = push.KindToken, "phone"
		refused, events := w.imports(t, importLine(t, "anna", `{}`, r))
		if refused[0] == nil {
			t.Errorf("a line with a time in the future (%+v) took the token of another customer, want it refused", r)
		}
		check.Equal(t, kinds(events), "", "events of the refused line")
	}
	w.tokenOf(t, "bert", "phone")
	mine := push.Registration{Kind: push.KindToken, Value: "mine", AddedAt: future, SeenAt: future}
	refused, _ := w.imports(t, importLine(t, "anna", `{}`, mine))
	if refused[0] != nil {
		t.Errorf("a new token with a time in the future: %v, want it stored", refused[0])
	}
	check.Equal(t, w.tokenOf(t, "anna", "mine").SeenAt, w.clock.Now(), "SeenAt of a token with a time in the future")
}
