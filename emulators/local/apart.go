package local

import (
	"context"

	"carillon.example/emulators/instances"
)

// StartApart starts the emulators in this process, and every function in its own
// processes, so that the memory of each function can be measured.
func StartApart(ctx context.Context, o Options) (l *Cloud, f *instances.Fleet, err error) {
	l = &Cloud{Options: o}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if err := l.StartEmulators(); err != nil {
		return nil, nil, err
	}
	if l.Instances == 0 {
		l.Instances = instances.DefaultDeliverInstances
	}
	if err := l.SetEnvironment(); err != nil {
		return nil, nil, err
	}
	if f, err = l.startFleet(ctx, instances.FleetSizes(l.Instances)); err != nil {
		return nil, nil, err
	}
	if err := l.Serve(f.Handler, nil); err != nil {
		return nil, nil, err
	}
	if err := l.Subscribe(ctx); err != nil {
		return nil, nil, err
	}

	return l, f, l.RunClock(ctx)
}

// startFleet starts processes of functions. sizes has the number of processes by
// function.
func (l *Cloud) startFleet(ctx context.Context, sizes map[string]int) (*instances.Fleet, error) {
	f, err := instances.NewFleet(sizes, FunctionTimeout, nil, instances.LogWriter())
	if err != nil {
		return nil, err
	}
	l.OnClose(f.Close)
	return f, f.StartAll(ctx)
}
