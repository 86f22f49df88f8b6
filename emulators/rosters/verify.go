package rosters

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

const (
	prefixDigits = 2

	// DefaultSlack is how long the commit of a change may take after its time in changedAt. A
	// roster may lack what has changed so shortly before its own time, because dispatch
	// reads these changes again.
	DefaultSlack = time.Minute
	// rosterLife is how long dispatch uses a roster after all of its customers were read.
	rosterLife = 30 * 24 * time.Hour
	// pageSize is how many customers one query reads.
	pageSize = 1000
	// countedPerRead is how many documents a count costs one read for.
	countedPerRead = 1000
	// rostersAtOnce is how many rosters are compared at the same time. One has up to 9 MiB.
	rostersAtOnce = 4
)

// A Plan is what a comparison will read.
type Plan struct {
	Documents int // of rosters
	Customers int

	db       *firestore.Client
	prefixes []string // of the rosters that have a document
	spent    int      // reads that the plan has cost
	unknown  []string // documents that are not of a roster
}

// NewPlan lists the rosters and counts the customers. It costs a read for each document of a
// roster, and one for each thousand customers.
func NewPlan(ctx context.Context, db *firestore.Client) (*Plan, error) {
	p := &Plan{db: db}
	names, err := db.Collection("rosters").Select().Documents(ctx).GetAll()
	if err != nil {
		return nil, fmt.Errorf("listing the rosters: %w", err)
	}
	for _, snap := range names {
		prefix, _, ok := parseName(snap.Ref.ID)
		if !ok {
			p.unknown = append(p.unknown, snap.Ref.ID)
			continue
		}
		p.prefixes = append(p.prefixes, prefix)
	}
	slices.Sort(p.prefixes)
	p.prefixes, p.Documents = slices.Compact(p.prefixes), len(names)

	result, err := db.Collection("customers").NewAggregationQuery().WithCount("n").Get(ctx)
	if err != nil {
		return nil, fmt.Errorf("counting the customers: %w", err)
	}
	n, ok := result["n"].(*firestorepb.Value)
	if !ok {
		return nil, fmt.Errorf("counting the customers: the answer is %v", result)
	}
	p.Customers = int(n.GetIntegerValue())
	p.spent = max(1, p.Documents) + max(1, p.Customers/countedPerRead)

	return p, nil
}

// Reads is how many documents the plan and the comparison read together, at most.
func (p *Plan) Reads() int { return p.spent + p.Documents + p.Customers }

// Prefixes is how many rosters have a document.
func (p *Plan) Prefixes() int { return len(p.prefixes) }

// parseName returns the prefix and the number of the part of a document of a roster: 7v is the
// first part, 7v-1 the second.
func parseName(name string) (prefix string, part int, ok bool) {
	prefix, number, further := strings.Cut(name, "-")
	if len(prefix) != prefixDigits || strings.Trim(prefix, push.KeyDigits) != "" {
		return "", 0, false
	}
	if !further {
		return prefix, 0, true
	}
	if _, err := fmt.Sscanf(number, "%d", &part); err != nil || part < 1 || fmt.Sprint(part) != number {
		return "", 0, false
	}
	return prefix, part, true
}

// Verify compares each roster with its customers, both at one read time, and calls done with
// the number of rosters that were compared. Customers may change meanwhile. slack is how long
// the commit of a change may take after its changedAt.
func (p *Plan) Verify(ctx context.Context, slack time.Duration, done func(int)) (*Report, error) {
	report := &Report{Reads: p.spent}
	for _, name := range p.unknown {
		report.Remarks.add(Finding{Roster: name, What: "the name is not that of a roster"})
	}

	var mu sync.Mutex // guards report and finished
	finished := 0
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(rostersAtOnce)
	for _, prefix := range p.prefixes {
		all.Go(func() error {
			part, err := verifyRoster(ctx, p.db, prefix, slack)
			if err != nil {
				return fmt.Errorf("comparing roster %s: %w", prefix, err)
			}
			mu.Lock()
			defer mu.Unlock()
			report.merge(part)
			finished++
			done(finished)
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}

	return report, nil
}

// add counts a finding.
func (f *Findings) add(x Finding) { f.merge(Findings{1, []Finding{x}}) }

// merge adds findings, and keeps the first of all.
func (f *Findings) merge(more Findings) {
	f.Count += more.Count
	f.First = append(f.First, more.First...)
	slices.SortFunc(f.First, compareFindings)
	f.First = f.First[:min(mostKept, len(f.First))]
}

// merge adds the result of a further roster.
func (r *Report) merge(part *Report) {
	r.Used += part.Used
	r.Compared += part.Compared
	r.Reads += part.Reads
	r.Wrong.merge(part.Wrong)
	r.Remarks.merge(part.Remarks)
}

// verifyRoster compares one roster with its customers in a read-only transaction, which has
// one read time.
func verifyRoster(ctx context.Context, db *firestore.Client, prefix string, slack time.Duration) (report *Report, err error) {
	err = db.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		report = &Report{}
		// All parts have names from 7v to before 7v., which follows 7v-.
		parts := db.Collection("rosters").OrderBy(firestore.DocumentID, firestore.Asc).StartAt(prefix).EndBefore(prefix + ".")
		snaps, err := tx.Documents(parts).GetAll()
		if err != nil {
			return err
		}
		report.Reads += max(1, len(snaps))

		r := openRoster(prefix, snaps, report)
		if r.isEmpty() {
			return nil
		}
		return readCustomers(db, tx, prefix, func(snap *firestore.DocumentSnapshot) {
			report.Reads++
			r.compareCustomer(snap, slack)
		}, r.end)
	}, firestore.ReadOnly)
	return report, err
}

// readCustomers calls each with every customer whose key has a prefix, in pages, and then end.
func readCustomers(db *firestore.Client, tx *firestore.Transaction, prefix string, each func(*firestore.DocumentSnapshot), end func()) error {
	// The prefix and w is greater than every key with the prefix: the last digit is v.
	all := db.Collection("customers").Select(customerFields...).OrderBy(firestore.DocumentID, firestore.Asc).EndBefore(prefix + "w").Limit(pageSize)
	for page := all.StartAt(prefix); ; {
		snaps, err := tx.Documents(page).GetAll()
		if err != nil {
			return err
		}
		for _, snap := range snaps {
			each(snap)
		}
		if len(snaps) < pageSize {
			end()
			return nil
		}
		page = all.StartAfter(snaps[len(snaps)-1].Ref.ID)
	}
}
