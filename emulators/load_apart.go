package main

import (
	"context"

	"carillon.example/emulators/instances"
)

// startApart starts the emulators in this process, and every function in
// processes of its own, so that their memory can be told apart.
func startApart(ctx context.Context, o options) (l *laptop, f *instances.Fleet, err error) {
	l = &laptop{options: o}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if err := l.emulators(); err != nil {
		return nil, nil, err
	}
	if l.instances == 0 {
		l.instances = instances.DefaultDeliver
	}
	if err := l.environment(); err != nil {
		return nil, nil, err
	}
	if f, err = l.startFleet(ctx, instances.FleetSizes(l.instances)); err != nil {
		return nil, nil, err
	}
	if err := l.serve(f.Handler, nil); err != nil {
		return nil, nil, err
	}
	if err := l.subscribe(ctx); err != nil {
		return nil, nil, err
	}

	return l, f, l.clockwork(ctx)
}

// startFleet starts processes of functions, as many of each as sizes says.
func (l *laptop) startFleet(ctx context.Context, sizes map[string]int) (*instances.Fleet, error) {
	f, err := instances.NewFleet(sizes, functionTimeout, nil, instances.LogWriter())
	if err != nil {
		return nil, err
	}
	l.onClose(f.Close)
	return f, f.StartAll(ctx)
}
