package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// fidShare is how many phones have a FID from the start, where some have.
const fidShare = 1.0 / 3

// fidOf is the n-th installation id: 22 characters, as Firebase's.
func formatFID(n int) string { return fmt.Sprintf("c%021d", n) }

// installation makes up a FID.
func (m *testCustomers) newFID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastNumber++
	return formatFID(m.lastNumber)
}

// address is a phone as the API takes it.
func (x *testToken) requestFields() (token, fid string) {
	if x.isFID {
		return "", x.token
	}
	return x.token, ""
}

// registerAll registers every FID with FCM.
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

// update has the moving people register a FID more that FCM does not know.
func (m *testCustomers) addUnknownFIDs(ctx context.Context) {
	for _, p := range m.all {
		if !p.migrating || len(p.tokens) >= push.MaxTokens-1 {
			continue
		}
		x := &testToken{token: m.newFID(), isFID: true}
		if err := m.registerToken(ctx, p, x, nil); err != nil {
			m.addError(err)
			return
		}
		m.countChange("updated, with a FID that FCM does not know")
	}
}

// migrate lets the moving people's apps go over from their token to their FID,
// one by one, from a quarter of the run to three quarters.
func (m *testCustomers) migrateToFIDs(ctx, storming context.Context, long time.Duration) {
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
	if len(moving) == 0 || !sleep(storming, long/4) {
		return
	}

	for _, x := range moving {
		if err := m.migrateToken(ctx, owners[x], x); err != nil {
			m.addError(err)
			return
		}
		if !sleep(storming, long/2/time.Duration(len(moving))) {
			return
		}
	}
}

// goOver registers a phone's FID with FCM, from when its token is dead, and then
// with us, where the FID takes the token's place.
func (m *testCustomers) migrateToken(ctx context.Context, p *testCustomer, old *testToken) error {
	fid, _, _ := strings.Cut(old.token, ":")
	if err := m.fcmServer.SetInstallations(fcm.Installation{FID: fid, Registered: fcm.ByFID}); err != nil {
		return fmt.Errorf("registering a FID with FCM: %w", err)
	}
	if err := m.registerToken(ctx, p, &testToken{token: fid, isFID: true}, nil); err != nil {
		return err
	}
	p.dropToken(old)
	m.countChange("went over from token to FID")
	return nil
}
