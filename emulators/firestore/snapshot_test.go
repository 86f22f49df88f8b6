package firestore_test

import (
	"bytes"
	"strings"
	"testing"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// TestAServerGoesOnWithTheDocumentsOfAnother checks, through the client, that documents keep
// their fields and times, and that a server can be saved after it was closed.
func TestAServerGoesOnWithTheDocumentsOfAnother(t *testing.T) {
	t.Parallel()
	first := start(t, firestore.Options{})
	c := connectTo(t, first.Addr(), "demo-kept")
	ref := c.Doc("cities/riga")
	if _, err := ref.Set(t.Context(), map[string]any{"people": 605273, "names": []string{"Rīga", "Riga"}}); err != nil {
		t.Fatal(err)
	}
	before, err := ref.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	var saved bytes.Buffer
	contents, err := first.Save(&saved)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, contents, firestore.Contents{Databases: 1, Documents: 1}, "what was saved")

	second := start(t, firestore.Options{Snapshot: &saved})
	check.Equal(t, second.Loaded(), contents, "what was loaded")
	after, err := connectTo(t, second.Addr(), "demo-kept").Doc("cities/riga").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, after.Data(), before.Data(), "the fields after the restart")
	check.Equal(t, after.CreateTime, before.CreateTime, "the create time after the restart")
	check.Equal(t, after.UpdateTime, before.UpdateTime, "the update time after the restart")
}

func TestAServerDoesNotStartWithAPartOfASnapshot(t *testing.T) {
	t.Parallel()
	s, err := firestore.Start("127.0.0.1:0", firestore.Options{Snapshot: strings.NewReader(`{"snapshot":"firestore","version":1,"at":"2026-11-28T00:00:00Z"}` + "\n")})
	if err == nil {
		s.Close()
	}
	check.Error(t, "starting with a snapshot that was cut", err, "the file is cut")
}
