package storetest

import (
	"context"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A Method is the name of a method of the store that has hooks.
type Method string

// These methods have hooks. A test that needs another one adds it here and below.
const (
	ReadBatch              Method = "ReadBatch"
	CreateBatches          Method = "CreateBatches"
	ListAvailabilities     Method = "ListAvailabilities"
	ListDueMailings        Method = "ListDueMailings"
	ListDueMessages        Method = "ListDueMessages"
	ListStalledUnflags     Method = "ListStalledUnflags"
	EndUnflag              Method = "EndUnflag"
	FlagTokens             Method = "FlagTokens"
	ImportCustomers        Method = "ImportCustomers"
	LeaseBatch             Method = "LeaseBatch"
	LeaseUnflag            Method = "LeaseUnflag"
	ReadMailingHeader      Method = "ReadMailingHeader"
	MarkMailingDispatched  Method = "MarkMailingDispatched"
	MarkPayloadProven      Method = "MarkPayloadProven"
	CountOpenTargets       Method = "CountOpenTargets"
	PauseMailingForProject Method = "PauseMailingForProject"
	RecheckTargets         Method = "RecheckTargets"
	RegisterToken          Method = "RegisterToken"
	SaveBatch              Method = "SaveBatch"
	SaveControls           Method = "SaveControls"
	SaveMessage            Method = "SaveMessage"
	SaveUnflagCursor       Method = "SaveUnflagCursor"
	StartMailing           Method = "StartMailing"
	ReadUnflagPage         Method = "ReadUnflagPage"
	UnflagTokens           Method = "UnflagTokens"
)

// ReadBatch runs the hooks of the method around it.
func (s *FailingStore) ReadBatch(ctx context.Context, ref push.BatchRef) (b *push.Batch, err error) {
	err = s.around(ReadBatch, []any{ref}, []any{&b}, func() (err error) {
		b, err = s.Store.ReadBatch(ctx, ref)
		return err
	})
	return b, err
}

// CreateBatches runs the hooks of the method around it.
func (s *FailingStore) CreateBatches(ctx context.Context, sh *push.Shard, batches []*push.Batch) error {
	return s.around(CreateBatches, []any{sh, batches}, nil, func() error { return s.Store.CreateBatches(ctx, sh, batches) })
}

// ListAvailabilities runs the hooks of the method around it.
func (s *FailingStore) ListAvailabilities(ctx context.Context, after string, size int) (page []store.CustomerAvailability, err error) {
	err = s.around(ListAvailabilities, []any{after, size}, []any{&page}, func() (err error) {
		page, err = s.Store.ListAvailabilities(ctx, after, size)
		return err
	})
	return page, err
}

// ListDueMailings runs the hooks of the method around it.
func (s *FailingStore) ListDueMailings(ctx context.Context, until time.Time) (due []*push.Mailing, err error) {
	err = s.around(ListDueMailings, []any{until}, []any{&due}, func() (err error) {
		due, err = s.Store.ListDueMailings(ctx, until)
		return err
	})
	return due, err
}

// ListDueMessages runs the hooks of the method around it.
func (s *FailingStore) ListDueMessages(ctx context.Context, until time.Time) (due []store.DueMessage, err error) {
	err = s.around(ListDueMessages, []any{until}, []any{&due}, func() (err error) {
		due, err = s.Store.ListDueMessages(ctx, until)
		return err
	})
	return due, err
}

// ListStalledUnflags runs the hooks of the method around it.
func (s *FailingStore) ListStalledUnflags(ctx context.Context) (mailings []string, err error) {
	err = s.around(ListStalledUnflags, nil, []any{&mailings}, func() (err error) {
		mailings, err = s.Store.ListStalledUnflags(ctx)
		return err
	})
	return mailings, err
}

// EndUnflag runs the hooks of the method around it.
func (s *FailingStore) EndUnflag(ctx context.Context, mailing string) (u *push.Unflag, err error) {
	err = s.around(EndUnflag, []any{mailing}, []any{&u}, func() (err error) {
		u, err = s.Store.EndUnflag(ctx, mailing)
		return err
	})
	return u, err
}

// FlagTokens has no error of its own: that of a hook becomes the error of every flag.
func (s *FailingStore) FlagTokens(ctx context.Context, flags []store.Flag) (done []store.FlagResult) {
	err := s.around(FlagTokens, []any{flags}, []any{&done}, func() error {
		done = s.Store.FlagTokens(ctx, flags)
		return nil
	})
	if err == nil {
		return done
	}

	done = make([]store.FlagResult, len(flags))
	for i := range done {
		done[i].Err = err
	}
	return done
}

// ImportCustomers runs the hooks of the method around it.
func (s *FailingStore) ImportCustomers(ctx context.Context, lines []store.ImportLine) (refused []error, events []push.Event, err error) {
	err = s.around(ImportCustomers, []any{lines}, []any{&refused, &events}, func() (err error) {
		refused, events, err = s.Store.ImportCustomers(ctx, lines)
		return err
	})
	return refused, events, err
}

// LeaseBatch runs the hooks of the method around it.
func (s *FailingStore) LeaseBatch(ctx context.Context, b *push.Batch, l push.Lease) error {
	return s.around(LeaseBatch, []any{b, l}, nil, func() error { return s.Store.LeaseBatch(ctx, b, l) })
}

// LeaseUnflag runs the hooks of the method around it.
func (s *FailingStore) LeaseUnflag(ctx context.Context, mailing string, until time.Time) (l *store.UnflagLease, err error) {
	err = s.around(LeaseUnflag, []any{mailing, until}, []any{&l}, func() (err error) {
		l, err = s.Store.LeaseUnflag(ctx, mailing, until)
		return err
	})
	return l, err
}

// ReadMailingHeader runs the hooks of the method around it.
func (s *FailingStore) ReadMailingHeader(ctx context.Context, id string) (m *push.Mailing, err error) {
	err = s.around(ReadMailingHeader, []any{id}, []any{&m}, func() (err error) {
		m, err = s.Store.ReadMailingHeader(ctx, id)
		return err
	})
	return m, err
}

// MarkMailingDispatched runs the hooks of the method around it.
func (s *FailingStore) MarkMailingDispatched(ctx context.Context, id string) (ended bool, err error) {
	err = s.around(MarkMailingDispatched, []any{id}, []any{&ended}, func() (err error) {
		ended, err = s.Store.MarkMailingDispatched(ctx, id)
		return err
	})
	return ended, err
}

// MarkPayloadProven runs the hooks of the method around it.
func (s *FailingStore) MarkPayloadProven(ctx context.Context, id string) error {
	return s.around(MarkPayloadProven, []any{id}, nil, func() error { return s.Store.MarkPayloadProven(ctx, id) })
}

// CountOpenTargets runs the hooks of the method around it.
func (s *FailingStore) CountOpenTargets(ctx context.Context, mailing string) (n int, err error) {
	err = s.around(CountOpenTargets, []any{mailing}, []any{&n}, func() (err error) {
		n, err = s.Store.CountOpenTargets(ctx, mailing)
		return err
	})
	return n, err
}

// PauseMailingForProject runs the hooks of the method around it.
func (s *FailingStore) PauseMailingForProject(ctx context.Context, id string, project string, reason push.PauseReason, detail string) (m *push.Mailing, err error) {
	err = s.around(PauseMailingForProject, []any{id, project, reason, detail}, []any{&m}, func() (err error) {
		m, err = s.Store.PauseMailingForProject(ctx, id, project, reason, detail)
		return err
	})
	return m, err
}

// RecheckTargets runs the hooks of the method around it.
func (s *FailingStore) RecheckTargets(ctx context.Context, m *push.Mailing, targets []push.Target) (owed []bool, broken []string, err error) {
	err = s.around(RecheckTargets, []any{m, targets}, []any{&owed, &broken}, func() (err error) {
		owed, broken, err = s.Store.RecheckTargets(ctx, m, targets)
		return err
	})
	return owed, broken, err
}

// RegisterToken runs the hooks of the method around it.
func (s *FailingStore) RegisterToken(ctx context.Context, customer string, r push.Registration) (done store.RegistrationResult, err error) {
	err = s.around(RegisterToken, []any{customer, r}, []any{&done}, func() (err error) {
		done, err = s.Store.RegisterToken(ctx, customer, r)
		return err
	})
	return done, err
}

// SaveBatch runs the hooks of the method around it.
func (s *FailingStore) SaveBatch(ctx context.Context, b *push.Batch) error {
	return s.around(SaveBatch, []any{b}, nil, func() error { return s.Store.SaveBatch(ctx, b) })
}

// SaveControls calls the hooks around the method of the store.
func (s *FailingStore) SaveControls(ctx context.Context, group string, list []store.ControlToken, most int) error {
	return s.around(SaveControls, []any{group, list, most}, nil, func() error { return s.Store.SaveControls(ctx, group, list, most) })
}

// SaveMessage runs the hooks of the method around it.
func (s *FailingStore) SaveMessage(ctx context.Context, m *push.Message) error {
	return s.around(SaveMessage, []any{m}, nil, func() error { return s.Store.SaveMessage(ctx, m) })
}

// SaveUnflagCursor runs the hooks of the method around it.
func (s *FailingStore) SaveUnflagCursor(ctx context.Context, l *store.UnflagLease, until time.Time) error {
	return s.around(SaveUnflagCursor, []any{l, until}, nil, func() error { return s.Store.SaveUnflagCursor(ctx, l, until) })
}

// StartMailing runs the hooks of the method around it.
func (s *FailingStore) StartMailing(ctx context.Context, id string, selection push.DeviceSelection, hours *push.Window, shards []push.Shard) (m *push.Mailing, err error) {
	err = s.around(StartMailing, []any{id, selection, hours, shards}, []any{&m}, func() (err error) {
		m, err = s.Store.StartMailing(ctx, id, selection, hours, shards)
		return err
	})
	return m, err
}

// ReadUnflagPage runs the hooks of the method around it.
func (s *FailingStore) ReadUnflagPage(ctx context.Context, l *store.UnflagLease) (p *store.UnflagPage, err error) {
	err = s.around(ReadUnflagPage, []any{l}, []any{&p}, func() (err error) {
		p, err = s.Store.ReadUnflagPage(ctx, l)
		return err
	})
	return p, err
}

// UnflagTokens runs the hooks of the method around it.
func (s *FailingStore) UnflagTokens(ctx context.Context, mailing string, tokens []store.CustomerTokens) (n int, events []push.Event, err error) {
	err = s.around(UnflagTokens, []any{mailing, tokens}, []any{&n, &events}, func() (err error) {
		n, events, err = s.Store.UnflagTokens(ctx, mailing, tokens)
		return err
	})
	return n, events, err
}
