package customers

import (
	"cmp"
	"maps"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// lines are those of one import.
type lines struct {
	read    int // lines that are not empty
	good    []store.ImportLine
	origins [][]origin    // of each good one
	faulty  map[int]error // by number

	latest map[string]int  // by customer: which good line rows are joined to
	named  map[string]bool // tokens of rows so far
}

// An origin is a line that was sent in.
type origin struct {
	number  int  // counted from 1
	decides bool // names what the customer wants
}

func newLines() *lines {
	return &lines{faulty: map[int]error{}, latest: map[string]int{}, named: map[string]bool{}}
}

// add takes a line in.
func (ls *lines) add(l store.ImportLine, number int) {
	ls.good = append(ls.good, l)
	ls.origins = append(ls.origins, []origin{{number, l.Patch.Decides()}})
}

// join takes a row in. Rows of one customer become one line, which is stored by one
// write; apart each would wait for the one before it. What they say is the same as
// if they came one by one: a token that another row names, too, stays where it
// stands, for the last to name it has it.
func (ls *lines) join(l store.ImportLine, number, maxTokens int) {
	known := false
	for _, r := range l.Tokens {
		name := cmp.Or(push.Installation(r.Kind, r.Value), r.Value)
		known = known || ls.named[name]
		ls.named[name] = true
	}
	i, ok := ls.latest[l.Customer]
	if !ok || known || len(ls.good[i].Tokens)+len(l.Tokens) > maxTokens {
		ls.latest[l.Customer] = len(ls.good)
		ls.add(l, number)
		return
	}

	into := &ls.good[i]
	into.Tokens = append(into.Tokens, l.Tokens...)
	follow(&into.Patch, l.Patch)
	ls.origins[i] = append(ls.origins[i], origin{number, l.Patch.Decides()})
}

// follow changes p to say what p and then the patch of another row say. A row takes
// nothing away: its empty cells say nothing.
func follow(p *push.CustomerPatch, row push.CustomerPatch) {
	if row.Segments != nil {
		p.Segments = row.Segments
	}
	if row.OptedOut != nil {
		p.OptedOut = row.OptedOut
	}
	if row.TimeZone != nil {
		p.TimeZone = row.TimeZone
	}
	p.Attributes = over(p.Attributes, row.Attributes)
	p.Categories = over(p.Categories, row.Categories)
}

// over is a map with the entries of another in it.
func over[V any](m, with map[string]V) map[string]V {
	if m == nil {
		return with
	}
	maps.Copy(m, with)
	return m
}

// refuse notes which lines the store refused, and why. It answers how many of the
// others decide what a customer wants.
func (ls *lines) refuse(refused []error) (decided int) {
	for i, why := range refused {
		for _, o := range ls.origins[i] {
			if why != nil {
				ls.faulty[o.number] = why
			} else if o.decides {
				decided++
			}
		}
	}
	return decided
}
