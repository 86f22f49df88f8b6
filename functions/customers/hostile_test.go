package customers

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// TestImportNamesTimesThatAreNone: the year 0, which Firestore does not take,
// and the year 1, which some programs write for none. The other lines are kept.
func TestImportNamesTimesThatAreNone(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	bad := w.importing(2, `{"id":"a","tokens":[{"token":"ta","addedAt":"2026-10-01T00:00:00Z","seenAt":"2026-10-02T00:00:00+14:00"}]}
{"id":"b","tokens":[{"token":"tb","addedAt":"0000-01-01T00:00:00Z"},{"token":"tc","seenAt":"0001-01-01T00:00:00Z"}]}
{"id":"c","tokens":[{"token":"td","addedAt":null,"seenAt":"9999-12-31T23:59:59-14:00"}]}`)
	for _, at := range []string{"line.tokens[0].addedAt", "line.tokens[1].seenAt"} {
		if len(bad) != 1 {
			t.Fatalf("number of bad lines is %v, want 1: %+v", len(bad), bad)
		}
		check.Contains(t, bad[2], at, "fault of line 2")
	}
	w.want(http.StatusNotFound, "GET", "/v1/customers/b", "")
}

// TestHalfAnIDIsNobody: two ids that no text can hold do not become one.
func TestHalfAnIDIsNobody(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	bad := w.importing(1, `{"id":"\ud83d"}`+"\n"+`{"id":"\udd14"}`+"\n"+`{"id":"\ud83d\udd14"}`)
	if len(bad) != 2 {
		t.Errorf("the failed lines are %v, want 2", bad)
	}
	w.want(http.StatusOK, "GET", "/v1/customers/"+escape("🔔"), "")
	w.want(http.StatusBadRequest, "POST", anna+"/tokens", `{"token":"\ud800"}`)
}

// TestCellsStayWhole: a spreadsheet in German parts cells by semicolons, and
// would take what is behind one for a formula.
func TestCellsStayWhole(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.importing(3, `{"id":"a;=1+1"}`+"\n"+`{"id":"=1;\"x\",=2"}`+"\n"+`{"id":"c","tokens":[{"token":"t","platform":"ios","app":"=shop"},{"token":"u","platform":"android","app":"bank"}]}`)
	table := w.Ask("GET", "/v1/exports/availability?format=csv", "").Body
	for _, line := range []string{`"a;=1+1",false,0,"","",unreachable,2026-11-01T12:00:00Z`,
		`"'=1;""x"",=2",false,0,"","",unreachable,2026-11-01T12:00:00Z`, `"c",true,2,"android|ios","'=shop|bank",reachable,2026-11-01T12:00:00Z`} {
		if !strings.Contains(table, "\n"+line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, table)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, len(rows), 4, "number of rows")
}

// TestATableOfNobodyHasItsHeading: also where no page follows.
func TestATableOfNobodyHasItsHeading(t *testing.T) {
	t.Parallel()
	a := newHarness(t).Ask("GET", "/v1/exports/availability?format=csv", "")
	testcloud.CheckCode(t, a, http.StatusOK)
	check.Equal(t, a.Body, "id,pushAvailable,validTokens,platform,app,state,since\n", "%s: body", a.Request)
}
