package adopt

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

var (
	spring = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	summer = spring.AddDate(0, 3, 0)
)

// Every entry is imported or left out for one reason.
func TestPlanDecidesAboutEveryEntry(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", push.MaxToken+1)
	for name, c := range map[string]struct {
		entries []entry
		want    string // the customers with their tokens
		leftOut map[reason]int
	}{
		"two devices":            {[]entry{{customer: "anna", token: "token-a1"}, {customer: "anna", token: "token-a2"}}, "anna:token-a1,token-a2", nil},
		"the newest first":       {[]entry{{customer: "anna", token: "token-a1", addedAt: spring}, {customer: "anna", token: "token-a2", addedAt: summer}}, "anna:token-a2,token-a1", nil},
		"too many":               {[]entry{{customer: "anna", token: "token-a1", addedAt: spring}, {customer: "anna", token: "token-a2", addedAt: summer}, {customer: "anna", token: "token-a3", addedAt: summer}}, "anna:token-a2,token-a3", map[reason]int{tooMany: 1}},
		"the last seen first":    {[]entry{{customer: "anna", token: "token-a1", addedAt: spring, seenAt: summer}, {customer: "anna", token: "token-a2", addedAt: spring.AddDate(0, 1, 0)}}, "anna:token-a1,token-a2", nil},
		"given twice":            {[]entry{{customer: "anna", token: "token-a1"}, {customer: "anna", token: "token-a1"}}, "anna:token-a1", map[reason]int{givenTwice: 1}},
		"the last one gets it":   {[]entry{{customer: "anna", token: "token-a1"}, {customer: "ben", token: "token-a1"}}, "ben:token-a1", map[reason]int{otherCustomer: 1}},
		"the later one gets it":  {[]entry{{customer: "anna", token: "token-a1", addedAt: summer}, {customer: "ben", token: "token-a1", addedAt: spring}}, "anna:token-a1", map[reason]int{otherCustomer: 1}},
		"no customer":            {[]entry{{token: "token-a1"}}, "", map[reason]int{noCustomer: 1}},
		"a customer like a path": {[]entry{{customer: "..", token: "token-a1"}}, "", map[reason]int{badCustomer: 1}},
		"no token":               {[]entry{{customer: "anna"}}, "", map[reason]int{noToken: 1}},
		"APNs":                   {[]entry{{customer: "anna", token: strings.Repeat("0aF9", 16)}}, "", map[reason]int{apnsToken: 1}},
		"Expo":                   {[]entry{{customer: "anna", token: "ExponentPushToken[xxxxxxxx]"}}, "", map[reason]int{expoToken: 1}},
		"too long":               {[]entry{{customer: "anna", token: long}}, "", map[reason]int{badToken: 1}},
		"a space":                {[]entry{{customer: "anna", token: "null or undefined"}}, "", map[reason]int{badToken: 1}},
		"a dot":                  {[]entry{{customer: "anna", token: "token.a1"}}, "", map[reason]int{badToken: 1}},
		"a short word":           {[]entry{{customer: "anna", token: "null"}}, "", map[reason]int{badToken: 1}},
		"unsubscribed":           {[]entry{{customer: "anna", token: "token-a1", leaveOut: unsubscribed}}, "", map[reason]int{unsubscribed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlan(2)
			for _, e := range c.entries {
				p.addEntry(e)
			}
			customers := p.customers()
			check.Equal(t, describe(customers), c.want, "the customers")

			if c.leftOut == nil {
				c.leftOut = map[reason]int{}
			}
			if diff := cmp.Diff(c.leftOut, p.leftOut); diff != "" {
				t.Errorf("what is left out differs (-want +got):\n%s", diff)
			}
			var out bytes.Buffer
			p.print(&out, customers)
			for why := range c.leftOut {
				check.Contains(t, out.String(), string(why), "the report")
			}
		})
	}
}

// describe writes customers as anna:token,token ben:token.
func describe(customers []adoptedCustomer) string {
	var out []string
	for _, c := range customers {
		var tokens []string
		for _, e := range c.tokens {
			tokens = append(tokens, e.token)
		}
		out = append(out, c.id+":"+strings.Join(tokens, ","))
	}
	return strings.Join(out, " ")
}

// The report shows only the beginning of a token.
func TestReportShortensTokens(t *testing.T) {
	t.Parallel()
	p := newPlan(1)
	secret := "beginning-of-it-" + strings.Repeat("s3cret", 20)
	p.addEntry(entry{customer: "anna", token: secret, place: "line 2"})
	p.addEntry(entry{customer: "anna", token: secret, place: "line 3"})
	var out bytes.Buffer
	p.print(&out, p.customers())
	check.Contains(t, out.String(), `line 3: customer "anna", token "beginning-of`, "the report")
	check.NotContains(t, out.String(), "s3crets3cret", "the report")
}

// readAll returns the entries of a source.
func readAll(t *testing.T, read func(each func(entry)) error) []entry {
	t.Helper()
	var all []entry
	if err := read(func(e entry) { all = append(all, e) }); err != nil {
		t.Fatalf("reading the source: %v", err)
	}
	return all
}

// writeFile writes a file of the test and returns its path.
func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("writing %s: %v", path, err)
	}
	return path
}

func TestCSVIsRead(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "tokens.csv", []byte("\ufeffuser,fcm,os,stored\n anna ,token-a1,iOS,2026-03-01T00:00:00Z\nben,\"token-b1\",,\ncleo\n"))
	c := columns{customer: "user", token: "fcm", platform: "os", addedAt: "stored"}
	got := readAll(t, func(each func(entry)) error {
		return readCSV(file, c, entry{platform: push.Android, app: "shop"}, each)
	})
	want := []entry{
		{customer: "anna", token: "token-a1", platform: push.IOS, app: "shop", addedAt: spring, place: "line 2"},
		{customer: "ben", token: "token-b1", platform: push.Android, app: "shop", place: "line 3"},
		{customer: "cleo", platform: push.Android, app: "shop", place: "line 4"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("the entries differ (-want +got):\n%s", diff)
	}
}

// OneSignal has APNs tokens of iPhones, and its own columns.
func TestOneSignalExportIsRead(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("id,identifier,session_count,device_type,last_active,created_at,invalid_identifier,external_user_id,notification_types\n" +
		"1,token-a1,5,1,2026-06-01 00:00:00,2026-03-01 00:00:00,f,anna,1\n" +
		"2,token-b1,5,1,2026-06-01 00:00:00,2026-03-01 00:00:00,t,ben,1\n" +
		"3,token-c1,5,1,2026-06-01 00:00:00,2026-03-01 00:00:00,f,cleo,-2\n" +
		"4," + strings.Repeat("ab", 32) + ",5,0,2026-06-01 00:00:00,2026-03-01 00:00:00,f,dan,1\n"))
	if err != nil {
		t.Fatalf("packing: %v", err)
	}
	if err := z.Close(); err != nil {
		t.Fatalf("packing: %v", err)
	}
	file := writeFile(t, "export.csv.gz", packed.Bytes())

	p := newPlan(20)
	for _, e := range readAll(t, func(each func(entry)) error { return readCSV(file, oneSignal, entry{}, each) }) {
		p.addEntry(e)
	}
	customers := p.customers()
	check.Equal(t, describe(customers), "anna:token-a1", "the customers")
	want := entry{customer: "anna", token: "token-a1", platform: push.Android, addedAt: spring, seenAt: summer, place: "line 2"}
	if diff := cmp.Diff(want, *customers[0].tokens[0], cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("the entry differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[reason]int{unsubscribed: 2, apnsToken: 1}, p.leftOut); diff != "" {
		t.Errorf("what is left out differs (-want +got):\n%s", diff)
	}
}

func TestFaultsOfCSVAreNamed(t *testing.T) {
	t.Parallel()
	c := columns{customer: "id", token: "token", platform: "os", addedAt: "at"}
	for name, test := range map[string]struct{ file, want string }{
		"empty":       {"", "reading the header"},
		"no column":   {"id,os,at\n", `there is no column "token"; the columns are id, os, at`},
		"a platform":  {"id,token,os,at\na,token-a1,symbian,\n", `line 2: the platform is "symbian"`},
		"a time":      {"id,token,os,at\na,token-a1,ios,\nb,token-b1,ios,yesterday\n", `line 3: "yesterday" is no time`},
		"a bad quote": {"id,token,os,at\na,\"token-a1\"x,ios,\n", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.readRows(strings.NewReader(test.file), entry{}, func(entry) {})
			if err == nil {
				t.Fatal("the file is read without an error")
			}
			check.Contains(t, err.Error(), test.want, "the error")
		})
	}
}

// An export that does not say who unsubscribed is refused: they would get pushes again.
func TestOneSignalExportNeedsItsExtraFields(t *testing.T) {
	t.Parallel()
	file := "identifier,device_type,created_at,last_active,external_user_id,invalid_identifier\ntoken-a1,1,,,anna,f\n"
	err := oneSignal.readRows(strings.NewReader(file), entry{}, func(entry) { t.Error("a row is read") })
	if err == nil {
		t.Fatal("the file is read without an error")
	}
	check.Contains(t, err.Error(), `there is no column "notification_types"`, "the error")
}

// A collection is read to its end, page by page, each document once.
func TestFirestoreIsReadInPages(t *testing.T) {
	t.Parallel()
	db := testcloud.New(t).DB()
	writer := db.BulkWriter(t.Context())
	const documents = 2*pageSize + 1
	for i := range documents {
		if _, err := writer.Set(db.Doc(fmt.Sprintf("users/u%d", i)), map[string]any{"fcmToken": fmt.Sprintf("token-%d", i)}); err != nil {
			t.Fatalf("writing document %d: %v", i, err)
		}
	}
	writer.End()

	from, seen := fields{collection: "users", token: "fcmToken"}, map[string]int{}
	for _, e := range readAll(t, func(each func(entry)) error { return from.readDocuments(t.Context(), db, entry{}, each) }) {
		seen[e.token]++
	}
	check.Equal(t, len(seen), documents, "the number of tokens")
	for token, n := range seen {
		if n != 1 {
			t.Errorf("%s is read %d times, want once", token, n)
		}
	}
}

// Teams keep tokens in a field, in a list, in a map or in a subcollection.
func TestFirestoreIsRead(t *testing.T) {
	t.Parallel()
	db := testcloud.New(t).DB()
	type doc = map[string]any
	for path, d := range map[string]doc{
		"users/anna":              {"fcmToken": "token-a1", "os": "android", "at": spring, "number": "4711"},
		"users/ben":               {"fcmToken": []any{"token-b1", "token-b2"}},
		"users/cleo":              {"fcmToken": doc{"token-c1": true, "device": "token-c2-is-longer"}},
		"users/dan":               {"name": "Dan"},
		"users/eve":               {"push": doc{"token": "token-e1"}},
		"users/ben/devices/one":   {"value": "token-d1"},
		"users/ben/devices/two":   {"value": "token-d2"},
		"shops/riga/devices/till": {"value": "token-t1"},
	} {
		t.Run(path, func(t *testing.T) {
			if _, err := db.Doc(path).Set(t.Context(), d); err != nil {
				t.Fatalf("writing %s: %v", path, err)
			}
		})
	}

	for name, c := range map[string]struct {
		from fields
		want string // customer=token, in the order of the documents
	}{
		"fields, lists and maps": {fields{collection: "users", token: "fcmToken"}, "anna=token-a1 ben=token-b1 ben=token-b2 cleo=token-c1 cleo=token-c2-is-longer dan= eve="},
		"a path":                 {fields{collection: "users", token: "push.token"}, "anna= ben= cleo= dan= eve=token-e1"},
		"a subcollection":        {fields{collection: "users", subcollection: "devices", token: "value"}, "ben=token-d1 ben=token-d2"},
		"another id":             {fields{collection: "users", token: "fcmToken", customer: "number"}, "4711=token-a1 =token-b1 =token-b2 =token-c1 =token-c2-is-longer = ="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, e := range readAll(t, func(each func(entry)) error { return c.from.readDocuments(t.Context(), db, entry{}, each) }) {
				got = append(got, e.customer+"="+e.token)
			}
			check.Equal(t, strings.Join(got, " "), c.want, "the entries")
		})
	}

	from := fields{collection: "users", token: "fcmToken", platform: "os", addedAt: "at"}
	got := readAll(t, func(each func(entry)) error {
		return from.readDocuments(t.Context(), db, entry{platform: push.Web, app: "shop"}, each)
	})
	want := []entry{
		{customer: "anna", token: "token-a1", platform: push.Android, app: "shop", addedAt: spring, place: "document anna"},
		{customer: "ben", token: "token-b1", platform: push.Web, app: "shop", place: "document ben"},
	}
	if diff := cmp.Diff(want, got[:2], cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("the first entries differ (-want +got):\n%s", diff)
	}
}
