package adopt

import (
	"bytes"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// The time when a token was stored is no activity: an Android token that was stored long
// ago would expire at once.
func TestTheTimeOfStoringIsNoActivity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entry           entry
		addedAt, seenAt *time.Time
	}{
		"no times":                    {entry{}, nil, nil},
		"when the token was stored":   {entry{addedAt: spring}, &spring, nil},
		"when the phone was seen":     {entry{seenAt: summer}, nil, &summer},
		"when it was stored, and was": {entry{addedAt: spring, seenAt: summer}, &spring, &summer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := lineOf(adoptedCustomer{id: "anna", tokens: []*entry{&c.entry}})
			check.Equal(t, line.Tokens[0].AddedAt, c.addedAt, "addedAt of the line")
			check.Equal(t, line.Tokens[0].SeenAt, c.seenAt, "seenAt of the line")
		})
	}
}

// The report counts the tokens that tick flags in its next round.
func TestReportCountsTokensThatExpireAtOnce(t *testing.T) {
	t.Parallel()
	customers := []adoptedCustomer{{id: "anna", tokens: []*entry{
		{customer: "anna", place: "line 2", token: "token-a1", platform: push.Android, seenAt: spring},
		{customer: "anna", place: "line 3", token: "token-a2", platform: push.Android, addedAt: spring},
		{customer: "anna", place: "line 4", token: "token-a3", platform: push.IOS, seenAt: spring},
		{customer: "anna", place: "line 5", token: "token-a4", seenAt: spring},
	}}}
	for name, c := range map[string]struct {
		now  time.Time
		want string
	}{
		"a day before": {spring.Add(push.TokenLife - 24*time.Hour), ""},
		"on the day": {spring.Add(push.TokenLife), "1 of the tokens to import are of Android and were not seen for 270 days: Carillon flags them as EXPIRED without asking FCM, and a second import does not take that back\n" +
			"    line 2: customer \"anna\", last seen on 2026-03-01\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			printExpired(&out, customers, c.now, push.TokenLife)
			check.Equal(t, out.String(), c.want, "the report")
		})
	}
}

// Times are stored as timestamps, as texts, and as numbers of seconds or milliseconds.
func TestTimesOfFirestoreAreRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value any
		want  time.Time
		fault string
	}{
		"none":              {nil, time.Time{}, ""},
		"a timestamp":       {spring.Local(), spring, ""},
		"milliseconds":      {spring.UnixMilli(), spring, ""},
		"seconds":           {spring.Unix(), spring, ""},
		"a fraction":        {float64(spring.UnixMilli()) + 0.5, spring, ""},
		"no number":         {int64(0), time.Time{}, ""},
		"an RFC 3339 text":  {"2026-03-01T02:00:00.000+02:00", spring, ""},
		"a day":             {"2026-03-01", spring, ""},
		"an empty text":     {"", time.Time{}, ""},
		"another text":      {"yesterday", time.Time{}, `"yesterday" is no time`},
		"microseconds":      {spring.UnixMicro(), time.Time{}, "is no time in seconds or milliseconds"},
		"a negative number": {int64(-1), time.Time{}, "is no time in seconds or milliseconds"},
		"a truth value":     {true, time.Time{}, "a value of the type bool is no time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := timeOf(c.value)
			if c.fault == "" && err != nil {
				t.Fatalf("timeOf(%v): the error is %v, want none", c.value, err)
			}
			if c.fault != "" {
				if err == nil {
					t.Fatalf("timeOf(%v) is %v without an error, want %q", c.value, got, c.fault)
				}
				check.Contains(t, err.Error(), c.fault, "the error of timeOf(%v)", c.value)
			}
			check.Equal(t, got, c.want, "timeOf(%v)", c.value)
		})
	}
}

// A time that cannot be read is named with its document and field.
func TestTimesThatCannotBeReadAreNamed(t *testing.T) {
	t.Parallel()
	db := testcloud.New(t).DB()
	if _, err := db.Doc("users/anna").Set(t.Context(), map[string]any{"fcmToken": "token-a1", "stored": spring.UnixMilli(), "seen": "yesterday"}); err != nil {
		t.Fatalf("writing the document: %v", err)
	}

	from := fields{collection: "users", token: "fcmToken", addedAt: "stored"}
	all := readAll(t, func(each func(entry)) error { return from.readDocuments(t.Context(), db, entry{}, each) })
	check.Equal(t, len(all), 1, "the number of entries")
	check.Equal(t, all[0].addedAt, spring, "the time when the token was stored")

	from.seenAt = "seen"
	err := from.readDocuments(t.Context(), db, entry{}, func(entry) {})
	if err == nil {
		t.Fatal("the document is read without an error")
	}
	check.Contains(t, err.Error(), `document anna: field seen: "yesterday" is no time`, "the error")
}
