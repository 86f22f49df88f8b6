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
func fidOf(n int) string { return fmt.Sprintf("c%021d", n) }

// installation makes up a FID.
func (m *people) installation() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh++
	return fidOf(m.fresh)
}

// address is a phone as the API takes it.
func (x *phone) address() (token, fid string) {
	if x.fid {
		return "", x.token
	}
	return x.token, ""
}

// registerAll registers every FID with FCM.
func (m *people) registerAll() {
	var all []fcm.Installation
	for _, p := range m.all {
		for _, x := range p.phones {
			if x.fid {
				all = append(all, fcm.Installation{FID: x.token, Registered: fcm.ByFID})
			}
		}
	}
	if err := m.phones.SetInstallations(all...); err != nil {
		m.complain(err)
	}
}

// update has the moving people register a FID more that FCM does not know.
func (m *people) update(ctx context.Context) {
	for _, p := range m.all {
		if !p.moving || len(p.phones) >= push.MaxTokens-1 {
			continue
		}
		x := &phone{token: m.installation(), fid: true}
		if err := m.register(ctx, p, x, nil); err != nil {
			m.complain(err)
			return
		}
		m.note("updated, with a FID that FCM does not know")
	}
}

// migrate lets the moving people's apps go over from their token to their FID,
// one by one, from a quarter of the run to three quarters.
func (m *people) migrate(ctx, storming context.Context, long time.Duration) {
	var moving []*phone
	owners := map[*phone]*person{}
	for _, p := range m.all {
		for _, x := range p.phones {
			if p.moving && !x.fid && !x.gone {
				moving = append(moving, x)
				owners[x] = p
			}
		}
	}
	if len(moving) == 0 || !wait(storming, long/4) {
		return
	}

	for _, x := range moving {
		if err := m.goOver(ctx, owners[x], x); err != nil {
			m.complain(err)
			return
		}
		if !wait(storming, long/2/time.Duration(len(moving))) {
			return
		}
	}
}

// goOver registers a phone's FID with FCM, from when its token is dead, and then
// with us, where the FID takes the token's place.
func (m *people) goOver(ctx context.Context, p *person, old *phone) error {
	fid, _, _ := strings.Cut(old.token, ":")
	if err := m.phones.SetInstallations(fcm.Installation{FID: fid, Registered: fcm.ByFID}); err != nil {
		return fmt.Errorf("registering a FID with FCM: %w", err)
	}
	if err := m.register(ctx, p, &phone{token: fid, fid: true}, nil); err != nil {
		return err
	}
	p.drop(old)
	m.note("went over from token to FID")
	return nil
}
