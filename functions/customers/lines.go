package customers

import (
	"cmp"
	"maps"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// importLines are the lines of one import.
type importLines struct {
	read    int // lines that are not empty
	good    []store.ImportLine
	origins [][]origin    // of each good line
	faulty  map[int]error // by number

	latest map[string]int  // by customer: the good line that rows are joined to
	named  map[string]bool // tokens of rows so far
}

// An origin is a line of the input.
type origin struct {
	number  int  // counted from 1
	decides bool // it names optedOut or categories
}

func newImportLines() *importLines {
	return &importLines{faulty: map[int]error{}, latest: map[string]int{}, named: map[string]bool{}}
}

// addLine adds a line.
func (ls *importLines) addLine(l store.ImportLine, number int) {
	ls.good = append(ls.good, l)
	ls.origins = append(ls.origins, []origin{{number, l.Patch.ChangesDecisions()}})
}

// joinRow adds a row. Rows of one customer become one line, which is stored by one
// write; otherwise each would wait for the one before it. The result is the same as
// if they came one after the other: a token that another row names, too, stays in its
// place, because the last row that names it gets it.
func (ls *importLines) joinRow(l store.ImportLine, number, maxTokens int) {
	known := false
	for _, r := range l.Tokens {
		name := cmp.Or(push.InstallationOf(r.Kind, r.Value), r.Value)
		known = known || ls.named[name]
		ls.named[name] = true
	}

	i, ok := ls.latest[l.Customer]
	if !ok || known || len(ls.good[i].Tokens)+len(l.Tokens) > maxTokens {
		ls.latest[l.Customer] = len(ls.good)
		ls.addLine(l, number)
		return
	}

	into := &ls.good[i]
	into.Tokens = append(into.Tokens, l.Tokens...)
	mergePatch(&into.Patch, l.Patch)
	ls.origins[i] = append(ls.origins[i], origin{number, l.Patch.ChangesDecisions()})
}

// mergePatch changes p to say what p and then the patch of another row say. A row removes
// nothing, because empty cells have no meaning.
func mergePatch(p *push.CustomerPatch, row push.CustomerPatch) {
	if row.Segments != nil {
		p.Segments = row.Segments
	}
	if row.OptedOut != nil {
		p.OptedOut = row.OptedOut
	}
	if row.TimeZone != nil {
		p.TimeZone = row.TimeZone
	}
	p.Attributes = mergeMaps(p.Attributes, row.Attributes)
	p.Categories = mergeMaps(p.Categories, row.Categories)
}

// mergeMaps returns a map with the entries of another added.
func mergeMaps[V any](m, with map[string]V) map[string]V {
	if m == nil {
		return with
	}
	maps.Copy(m, with)
	return m
}

// recordRefused records the lines that the store refused, and why. It returns how many of
// the others decide what a customer wants.
func (ls *importLines) recordRefused(refused []error) (decided int) {
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
