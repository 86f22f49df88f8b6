package engine

import (
	"context"
	"sync/atomic"
)

// A Bill counts the billed document operations of one request. It is safe for concurrent
// use.
type Bill struct{ reads, writes, deletes atomic.Int64 }

// Counts returns the billed reads, writes and deletes so far.
func (b *Bill) Counts() (reads, writes, deletes int64) {
	return b.reads.Load(), b.writes.Load(), b.deletes.Load()
}

func (b *Bill) add(reads, writes, deletes int64) {
	b.reads.Add(reads)
	b.writes.Add(writes)
	b.deletes.Add(deletes)
}

// billKey is the key of the bill in a context.
type billKey struct{}

// WithBill returns a context whose operations are counted in b, too.
func WithBill(ctx context.Context, b *Bill) context.Context {
	return context.WithValue(ctx, billKey{}, b)
}

// bill counts operations for the whole engine and in the bill of the request, if it has one.
func (e *Engine) bill(ctx context.Context, reads, writes, deletes int64) {
	e.total.add(reads, writes, deletes)
	if b, ok := ctx.Value(billKey{}).(*Bill); ok {
		b.add(reads, writes, deletes)
	}
}
