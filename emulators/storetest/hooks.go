package storetest

import "sync/atomic"

// Fail is a hook that fails every call with err.
func Fail(err error) Hook { return func(*Call) error { return err } }

// FailOnce is a hook that fails the first call with err, and no other.
func FailOnce(err error) Hook {
	var failed atomic.Bool
	return func(*Call) error {
		if failed.CompareAndSwap(false, true) {
			return err
		}
		return nil
	}
}

// FailFrom is a hook that fails the nth call, and each call after it, with err.
func FailFrom(nth int64, err error) Hook {
	var calls atomic.Int64
	return func(*Call) error {
		if calls.Add(1) < nth {
			return nil
		}
		return err
	}
}

// Do is a hook that only does something, and fails no call.
func Do(f func()) Hook {
	return func(*Call) error {
		f()
		return nil
	}
}

// DoOnce is a hook that does something at the first call only, and fails no call.
func DoOnce(f func()) Hook {
	var done atomic.Bool
	return func(*Call) error {
		if done.CompareAndSwap(false, true) {
			f()
		}
		return nil
	}
}
