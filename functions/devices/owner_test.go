package devices

import (
	"testing"

	"carillon.example/emulators/testcloud/check"
)

// TestATokenTellsNothingOfItsOwner: whoever registers somebody else's token learns
// nothing of what that customer's app said, at first and later.
func TestATokenTellsNothingOfItsOwner(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	if a := w.register(person("ann"), "token-of-ann"); a.Code != 201 {
		t.Fatal(a)
	}
	for range 2 { // the owner used it lately: it does not move
		a := w.ask("POST", "/v1/devices", person("eve"), `{"token":"token-of-ann","platform":"web"}`)
		if a.Code != 409 {
			t.Errorf("answered %d, want 409", a.Code)
		}
		check.NotContains(t, a.Body, "shop", "the answer to another customer")
		check.NotContains(t, a.Body, "ann", "the answer to another customer")
	}
}
