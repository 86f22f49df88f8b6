package testcloud

import (
	"errors"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"
)

// Expire deletes at once what the TTL of the service deletes: every document of the
// database whose expireAt is not after that time, also below documents that do not
// exist. It returns how many.
func (l *Cloud) Expire(now time.Time) (n int) {
	l.t.Helper()
	return l.expireIn(l.DB().Collections(l.t.Context()), now)
}

func (l *Cloud) expireIn(collections *sdk.CollectionIterator, now time.Time) (n int) {
	l.t.Helper()
	for {
		c, err := collections.Next()
		if errors.Is(err, iterator.Done) {
			return n
		}
		if err != nil {
			l.t.Fatal(err)
		}
		refs, err := c.DocumentRefs(l.t.Context()).GetAll()
		if err != nil {
			l.t.Fatal(err)
		}
		for _, ref := range refs {
			n += l.expireIn(ref.Collections(l.t.Context()), now)
			if l.expireOne(ref, now) {
				n++
			}
		}
	}
}

func (l *Cloud) expireOne(ref *sdk.DocumentRef, now time.Time) bool {
	l.t.Helper()
	snaps, err := l.DB().GetAll(l.t.Context(), []*sdk.DocumentRef{ref})
	if err != nil {
		l.t.Fatal(err)
	}
	at, ok := snaps[0].Data()["expireAt"].(time.Time)
	if !ok || at.After(now) {
		return false
	}
	if _, err := ref.Delete(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	return true
}
