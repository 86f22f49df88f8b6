package terraform_test

import (
	"fmt"
	"strings"
)

// What a month costs, computed: README prints it, and TestTables keeps it.

// A price is Google's list price of one unit, in US dollars.
type price struct {
	name, unit string
	per        float64 // units the price is for
	usd        float64
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

// What a million pushes take.
const (
	million    = 1e6
	perClient  = 1.4                 // tokens a customer
	batches    = million / 1000      // of 1000 targets
	customers  = million / perClient // read once each by dispatch
	dead       = million / 1000      // tokens found dead: one in a thousand
	batchReads = 3                   // claim, mailing, customers of a late batch
	batchSaves = 12                  // cut, cursor, lease, results eight times, settled
	deliverSec = 1000                // ten instances that send 10,000 a second together
	cutSec     = 300                 // dispatch
	kB         = 1000
)

// What a month takes whatever is sent.
const (
	ticks      = 30 * 24 * 60
	tickSec    = 0.2
	conditions = 22
)

// A row is one line of the table: how many units N million pushes a month take.
type row struct {
	price
	units func(n, audience float64) float64
}

var rows = []row{
	{reads, func(n, _ float64) float64 { return n * (customers + batchReads*batches + dead) }},
	{writes, func(n, _ float64) float64 { return n * (batchSaves*batches + dead) }},
	{deletes, func(n, _ float64) float64 { return n * batches }},
	{stored, func(_, audience float64) float64 { return audience / perClient * 2048 / (1 << 30) }},
	{cpu, func(n, _ float64) float64 { return n*(deliverSec+cutSec) + ticks*tickSec }},
	{memory, func(n, _ float64) float64 { return n*(deliverSec*1+cutSec*0.5) + ticks*tickSec*0.5 }},
	{requests, func(n, _ float64) float64 { return n*2*batches + ticks }},
	{traffic, func(n, _ float64) float64 { return (n*(batches+2*dead) + ticks) * 2 * kB }},
	{alerting, func(_, _ float64) float64 { return conditions }},
}

func pricesTable() string {
	b := "| what | list price |\n|---|---|\n"
	for _, r := range rows {
		b += fmt.Sprintf("| %s | $%s per %s |\n", r.name, strings.TrimRight(fmt.Sprintf("%.7f", r.usd), "0"), r.unit)
	}
	return b
}

// costsTable is for 100 thousand, 1 million and 10 million pushes a day to an
// audience of as many tokens.
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

// regional is what Firestore's operations cost in a region, of the price in a
// multi-region.
const regional = 0.5

// messagesTable is what a million messages to one customer cost.
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

// number writes a count short: 2.17 M.
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
