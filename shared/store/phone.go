package store

import (
	"cmp"
	"slices"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// A tokenClaim is a registration and the customer whom it is for.
type tokenClaim struct {
	customer string
	push.Registration
}

// phonesAtOnce is how many FIDs one query searches: Firestore allows 30 values.
const phonesAtOnce = 30

// installationKey returns the token id of the FID of a token's installation, "" if the
// token does not name it.
func installationKey(kind push.Kind, value string) string {
	fid := push.InstallationOf(kind, value)
	if fid == "" {
		return ""
	}
	return push.TokenID(fid)
}

// readPhones reads the tokens that reach the same installations as the claimed ones, and the
// customers who have them: for a registration token its FID, by name; for a FID its
// registration tokens, by a query. A token that its customer has already is skipped: its
// registration has superseded the others. It must be called before any write of the
// transaction.
func (b *customerTx) readPhones(claims ...tokenClaim) error {
	var names, fids []string
	for _, c := range claims {
		key := installationKey(c.Kind, c.Value)
		if _, known := b.byID[c.customer].FindToken(push.TokenID(c.Value)); known || key == "" {
			continue
		}
		if c.Kind == push.KindFID {
			fids = append(fids, key)
		} else {
			names = append(names, key)
		}
	}

	names, fids = uniqueStrings(names), uniqueStrings(fids)

	refs := make([]*firestore.DocumentRef, len(names))
	for i, id := range names {
		refs[i] = b.s.tokenDocument(id)
	}

	if len(refs) > 0 {
		snaps, err := b.tx.GetAll(refs)
		if err != nil {
			return err
		}
		if err := b.readOwners(names, snaps); err != nil {
			return err
		}
	}

	for part := range slices.Chunk(fids, phonesAtOnce) {
		found, err := b.tokensOf(part)
		if err != nil {
			return err
		}
		names = append(names, found...)
	}

	b.phones = append(b.phones, names...)
	return b.readOtherOwners(names)
}

// tokensOf reads the registration tokens of installations and returns their ids.
func (b *customerTx) tokensOf(installations []string) ([]string, error) {
	snaps, err := b.tx.Documents(b.s.db.Collection("tokens").Where("installation", "in", installations)).GetAll()
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(snaps))
	for i, snap := range snaps {
		ids[i] = snap.Ref.ID
	}
	return ids, b.readOwners(ids, snaps)
}

// tokensOfPhone lists the tokens that reach the phone of a registration for e: those of its
// installation, of any customer, and e's own tokens of the same device and app. The id of
// a device comes from the app and is not trusted, so it affects no other customer.
func (b *customerTx) tokensOfPhone(e *loadedCustomer, r push.Registration) (owners []*loadedCustomer, tokens []push.Token) {
	for _, t := range e.Tokens {
		if t.SamePhone(r) {
			owners, tokens = append(owners, e), append(tokens, t)
		}
	}

	for _, id := range b.phones {
		from := b.byID[b.ownerOf(id)]
		if from == nil || from == e {
			continue
		}
		if t, ok := from.FindToken(id); ok && t.SameInstallation(r) {
			owners, tokens = append(owners, from), append(tokens, *t)
		}
	}

	return owners, tokens
}

// supersedeTokens removes the other tokens of the phone from their customers, and copies to fresh
// what they say of the device. A token and a FID of one installation are one entry with
// two names: fresh keeps the time at which the entry was added, so that a migration does
// not change which device is the latest.
func (b *customerTx) supersedeTokens(e *loadedCustomer, r push.Registration, fresh *push.Token) {
	owners, tokens := b.tokensOfPhone(e, r)
	for i, t := range tokens {
		b.dropToken(owners[i], t.ID)
		owners[i].superseded = append(owners[i].superseded, supersededToken{t, fresh.ID})
		if owners[i] != e {
			continue
		}
		fresh.Platform, fresh.App = cmp.Or(fresh.Platform, t.Platform), cmp.Or(fresh.App, t.App)
		fresh.Device, fresh.Notifications = cmp.Or(fresh.Device, t.Device), cmp.Or(fresh.Notifications, t.Notifications)
		if t.Valid() && t.SameInstallation(r) && t.AddedAt.Before(fresh.AddedAt) {
			fresh.AddedAt = t.AddedAt
		}
	}
}
