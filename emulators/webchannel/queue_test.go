package webchannel

import (
	"fmt"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	var q queue
	part, last := q.after(0, 100)
	check.Equal(t, part, nil, "part of an empty queue")
	check.Equal(t, last, 0, "its last message")

	for _, value := range []string{`"a"`, `{"b":1}`, `"c"`} {
		q.add([]byte(value))
	}
	part, last = q.after(0, 100)
	check.Equal(t, string(part), "35\n"+`[[1,["a"]],[2,[{"b":1}]],[3,["c"]]]`, "part with all messages")
	check.Equal(t, last, 3, "its last message")
	part, last = q.after(1, 1)
	check.Equal(t, string(part), "15\n"+`[[2,[{"b":1}]]]`, "part with as many as fit, but one at least")
	check.Equal(t, last, 2, "its last message")

	check.Equal(t, q.confirm(2), true, "that messages up to 2 were sent")
	check.Equal(t, q.confirm(1), true, "that messages up to 1 were sent, when 2 is confirmed already")
	check.Equal(t, q.confirm(4), false, "that a message 4 was sent")
	check.Equal(t, q.confirm(-1), false, "that a message -1 was sent")
	check.Equal(t, q.size, len(`[3,["c"]]`), "bytes of the last message")
	part, _ = q.after(0, 100)
	check.Equal(t, string(part), "11\n"+`[[3,["c"]]]`, "part for a client that confirms less than it did before")

	q.confirm(3)
	q.add([]byte(`"d"`))
	part, last = q.after(3, 100)
	check.Equal(t, string(part), "11\n"+`[[4,["d"]]]`, "part after everything was confirmed")
	check.Equal(t, last, 4, "its last message")
}

// TestLengthsAreThoseOfJavaScript: a client cuts parts by the length of texts in UTF-16.
func TestLengthsAreThoseOfJavaScript(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "abc": 3, "ķā": 2, "€": 1, "😀": 2, "👩‍👦": 5} {
		check.Equal(t, unitsOf([]byte(text)), want, "length of %q", text)
		var q queue
		q.add([]byte(text))
		part, _ := q.after(0, 100)
		check.Equal(t, string(part[:strings.IndexByte(string(part), '\n')]), fmt.Sprint(want+len("[[1,[]]]")), "length of a part with %q", text)
	}
}
