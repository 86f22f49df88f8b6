package terraform_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// This file computes the costs in README.md. TestTables compares them with its tables.

// A price is a list price of Google.
type price struct {
	name, unit string
	per        float64 // how many units the price is for
	usd        float64 // the price of per units, in US dollars
}

var (
	reads    = price{"Firestore, documents read", "100,000", 1e5, 0.06}
	writes   = price{"Firestore, documents written", "100,000", 1e5, 0.18}
	deletes  = price{"Firestore, documents deleted", "100,000", 1e5, 0.02}
	stored   = price{"Firestore, data, its last seven days and seven backups", "GiB and month", 1, 0.57}
	cpu      = price{"Cloud Run, vCPU while a request is worked on", "second", 1, 0.000024}
	memory   = price{"Cloud Run, memory while a request is worked on", "GiB-second", 1, 0.0000025}
	requests = price{"Cloud Run, requests", "million", 1e6, 0.40}
	traffic  = price{"Pub/Sub, published and delivered", "TiB", 1 << 40, 40}
	alerting = price{"Cloud Monitoring, conditions of alerts", "condition and month", 1, 0.10}
)

// What a million pushes need.
const (
	million    = 1e6
	perClient  = 1.4                 // tokens a customer
	batches    = million / 1000      // of 1000 targets
	customers  = million / perClient // of whom dispatch reads those who changed since the last mailing
	changed    = 0.02                // share of them: new tokens, opt-outs, flags
	invalid    = million / 1000      // tokens found to be invalid: one in a thousand
	batchReads = 4                   // lease, mailing, customers of an outdated batch, sums by app
	batchSaves = 13                  // created, cursor, lease, results eight times, decisions about flags, settled
	deliverSec = 1000                // seconds of ten instances that send 10,000 a second together
	cutSec     = 300                 // seconds of dispatch
	kB         = 1000
)

// What each mailing reads and writes, of an audience of 50,000 to 15 million customers, and the
// bytes that Firestore keeps of a customer.
const (
	rosters       = 1024       // documents
	customerBytes = 2048 + 300 // the document with its indexes, and the part of a roster
)

// What a month needs, however much is sent.
const (
	ticks      = 30 * 24 * 60
	tickSec    = 0.2
	conditions = 38
)

// A row is one line of the table of costs. units returns how many units n million pushes a
// month need, to an audience of that many tokens.
type row struct {
	price
	units func(n, audience float64) float64
}

var rows = []row{
	{reads, func(n, audience float64) float64 {
		// All customers are read once a month, to make the rosters again.
		return n*(changed*customers+batchReads*batches+invalid) + n*million/audience*rosters + audience/perClient
	}},
	{writes, func(n, audience float64) float64 {
		return n*(batchSaves*batches+invalid) + n*million/audience*rosters
	}},
	{deletes, func(n, _ float64) float64 { return n * batches }},
	{stored, func(_, audience float64) float64 { return audience / perClient * customerBytes / (1 << 30) }},
	{cpu, func(n, _ float64) float64 { return n*(deliverSec+cutSec) + ticks*tickSec }},
	{memory, func(n, _ float64) float64 { return n*(deliverSec*1+cutSec*0.5) + ticks*tickSec*0.5 }},
	{requests, func(n, _ float64) float64 { return n*2*batches + ticks }},
	{traffic, func(n, _ float64) float64 { return (n*(batches+2*invalid) + ticks) * 2 * kB }},
	{alerting, func(_, _ float64) float64 { return conditions }},
}

// TestConditionsArePaid checks that the table of costs has as many conditions of alerts as
// the module has by default. A test of Terraform counts them.
func TestConditionsArePaid(t *testing.T) {
	t.Parallel()
	const file = "tests/operations.tftest.hcl"
	counted := regexp.MustCompile(`condition\s+= sum\(.*length\(p\.conditions\)\]\) == (\d+)\n`).FindStringSubmatch(read(t, file))
	if counted == nil {
		t.Fatalf("%s does not count the conditions of alerts", file)
	}
	if n, err := strconv.Atoi(counted[1]); err != nil || n != conditions {
		t.Errorf("the table of costs has %d conditions of alerts, and %s counts %s", conditions, file, counted[1])
	}
}

// TestFiguresOfDocuments checks that other documents have the sum of the table of costs: for
// a month of a million pushes a day, and for each million.
func TestFiguresOfDocuments(t *testing.T) {
	t.Parallel()
	month := 0.0
	for _, r := range rows {
		month += r.units(30, million) / r.per * r.usd
	}
	for _, c := range []struct{ file, figure string }{
		{"../README.md", fmt.Sprintf("about $%.0f a month", month)},
		{"../docs/comparison.md", fmt.Sprintf("about $%.2f for a million tokens in bulk", month/30)},
	} {
		if !strings.Contains(read(t, c.file), c.figure) {
			t.Errorf("%s does not say %q", c.file, c.figure)
		}
	}
}

// pricesTable returns the table of list prices.
func pricesTable() string {
	b := "| what | list price |\n|---|---|\n"
	for _, r := range rows {
		b += fmt.Sprintf("| %s | $%s per %s |\n", r.name, strings.TrimRight(fmt.Sprintf("%.7f", r.usd), "0"), r.unit)
	}
	return b
}

// costsTable returns the table of costs for 100 thousand, 1 million and 10 million pushes a
// day, each to an audience of as many tokens.
func costsTable() string {
	days := []float64{1e5, 1e6, 1e7}
	b := "| a month of | 100 thousand a day | 1 million a day | 10 million a day |\n|---|---|---|---|\n"
	sums := make([]float64, len(days))
	for _, r := range rows {
		b += "| " + r.name
		for i, day := range days {
			units := r.units(day*30/million, day)
			usd := units / r.per * r.usd
			sums[i] += usd
			b += fmt.Sprintf(" | %s: $%.2f", number(units), usd)
		}
		b += " |\n"
	}
	b += "| **sum**"
	for _, s := range sums {
		b += fmt.Sprintf(" | **$%.2f**", s)
	}
	return b + " |\n"
}

// regional is the price of Firestore's operations in a region, as a share of the price in
// a multi-region.
const regional = 0.5

// messagesTable returns the table of costs of a million messages to one customer.
func messagesTable() string {
	type item struct {
		price
		units float64
	}
	items := []item{{reads, 2 * million}, {writes, 2 * million}, {deletes, million}, {requests, 2 * million}, {traffic, 2 * million * kB}}
	b := "| a million messages | in a region | in a multi-region |\n|---|---|---|\n"
	var one, multi float64
	for _, x := range items {
		usd := x.units / x.per * x.usd
		there := usd
		if strings.HasPrefix(x.name, "Firestore") {
			there *= regional
		}
		one, multi = one+there, multi+usd
		b += fmt.Sprintf("| %s, %s | $%.2f | $%.2f |\n", x.name, number(x.units), there, usd)
	}
	return b + fmt.Sprintf("| **sum** | **$%.2f** | **$%.2f** |\n", one, multi)
}

// number writes a number with three digits and a unit, as in 2.17 M.
func number(x float64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if x >= u.of {
			return fmt.Sprintf("%.3g%s", x/u.of, u.name)
		}
	}
	return fmt.Sprintf("%.2g", x)
}
