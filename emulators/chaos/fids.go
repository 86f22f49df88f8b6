package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// fidShare is the share of valid tokens that are FIDs at the start, in runs with
// FIDs.
const fidShare = 1.0 / 3

// formatFID returns the n-th FID: 22 characters, as in Firebase.
func formatFID(n int) string { return fmt.Sprintf("c%021d", n) }

// newFID returns a new FID.
func (m *testCustomers) newFID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastNumber++
	return formatFID(m.lastNumber)
}

// requestFields returns the token as the fields token and fid of a request to the
// API.
func (x *testToken) requestFields() (token, fid string) {
	if x.isFID {
		return "", x.token
	}
	return x.token, ""
}

// registerFIDs registers every FID with FCM.
func (m *testCustomers) registerFIDs() {
	var all []fcm.Installation
	for _, p := range m.all {
		for _, x := range p.tokens {
			if x.isFID {
				all = append(all, fcm.Installation{FID: x.token, Registered: fcm.ByFID})
			}
		}
	}
	if err := m.fcmServer.SetInstallations(all...); err != nil {
		m.addError(err)
	}
}

// addUnknownFIDs registers one more FID, which FCM does not know, for each migrating
// customer, until the update ends. A registration that has begun finishes.
func (m *testCustomers) addUnknownFIDs(ctx, update context.Context) {
	for _, p := range m.all {
		if update.Err() != nil {
			return
		}
		if !p.migrating || len(p.tokens) >= push.MaxTokens-1 {
			continue
		}
		x := &testToken{token: m.newFID(), isFID: true}
		if err := m.registerToken(ctx, p, x, nil); err != nil {
			m.addError(err)
			return
		}
		m.countChange("registered a FID that FCM does not know")
	}
}

// migrateToFIDs replaces the tokens of the migrating customers with FIDs, one by one,
// from a quarter of the run to three quarters.
func (m *testCustomers) migrateToFIDs(ctx, faultCtx context.Context, long time.Duration) {
	var moving []*testToken
	owners := map[*testToken]*testCustomer{}
	for _, p := range m.all {
		for _, x := range p.tokens {
			if p.migrating && !x.isFID && !x.unregistered {
				moving = append(moving, x)
				owners[x] = p
			}
		}
	}
	if len(moving) == 0 || !sleep(faultCtx, long/4) {
		return
	}

	for _, x := range moving {
		if err := m.migrateToken(ctx, owners[x], x); err != nil {
			m.addError(err)
			return
		}
		if !sleep(faultCtx, long/2/time.Duration(len(moving))) {
			return
		}
	}
}

// migrateToken registers a FID with FCM, which makes the old token invalid there, and
// then with the API, where the FID replaces the token.
func (m *testCustomers) migrateToken(ctx context.Context, p *testCustomer, old *testToken) error {
	fid, _, _ := strings.Cut(old.token, ":")
	if err := m.fcmServer.SetInstallations(fcm.Installation{FID: fid, Registered: fcm.ByFID}); err != nil {
		return fmt.Errorf("registering a FID with FCM: %w", err)
	}
	if err := m.registerToken(ctx, p, &testToken{token: fid, isFID: true}, nil); err != nil {
		return err
	}
	p.dropToken(old)
	m.countChange("moved from token to FID")
	return nil
}
