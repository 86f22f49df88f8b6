package fcm

import (
	"slices"
	"time"

	"carillon.example/shared/push"
)

const (
	// storeEvery is the shortest time between two writes of the demand of an
	// instance.
	storeEvery = 10500 * time.Millisecond
	// readEvery is how often a busy instance reads the demands of the others.
	readEvery = 4 * time.Second
	// knownAfter is how long after it was stored all others have read a demand:
	// readEvery, and the time that a read may take.
	knownAfter = 5500 * time.Millisecond
	// leaseFor is how long an instance uses its share if it cannot store its demand
	// any more, or read those of the others. It is less than the time for which the
	// others count its demand.
	leaseFor = push.DemandLife - 2*time.Second
	// retryEvery is the pause after a failed store or read.
	retryEvery = 2 * time.Second
	// leaveAfter is how long an instance is idle before it deletes its demand.
	leaveAfter = 3 * storeEvery
)

// A share computes one sender's part of the quota, in messages a second: as much as
// possible without taking from the parts of the others. The others may not have read the
// demand of this sender yet. So a demand that grows counts only after all others have had
// the time to read it. It reads no clock: every method gets the time.
type share struct {
	full   float64 // the quota of all senders together
	static float64 // part of one sender as long as it does not know the others
	floor  float64 // what a sender may always use
	// unconnected says that the senders do not know each other's demands: the share is
	// static.
	unconnected bool

	mine    push.Demand
	known   float64   // the part of mine that all others have read
	sentAt  time.Time // when the store of mine began; zero: it is not stored
	knownAt time.Time // from when on all others have read mine

	others []push.Demand
	readAt time.Time // when others were read; zero: never
}

// recordStored records that a demand was stored. The store began at began and ended at now.
func (s *share) recordStored(d push.Demand, began, now time.Time) {
	s.known = min(s.knownRate(began), d.Rate)
	s.mine, s.sentAt, s.knownAt = d, began, now.Add(knownAfter)
}

// recordDeleted records that the demand was deleted. It forgets the demands of the others,
// which will have changed before this sender sends again.
func (s *share) recordDeleted() {
	s.mine, s.known, s.sentAt, s.knownAt = push.Demand{}, 0, time.Time{}, time.Time{}
	s.others, s.readAt = nil, time.Time{}
}

// recordOthers records the demands of the others, which were read at now.
func (s *share) recordOthers(others []push.Demand, now time.Time) { s.others, s.readAt = others, now }

// knownRate returns the demand of this sender that all others have read.
func (s *share) knownRate(now time.Time) float64 {
	switch {
	case s.sentAt.IsZero(), now.Sub(s.sentAt) > leaseFor:
		return 0
	case now.Before(s.knownAt):
		return s.known
	}
	return s.mine.Rate
}

// allowedRate returns this sender's part of the quota in messages a second.
func (s *share) allowedRate(now time.Time) float64 {
	if s.unconnected || s.readAt.IsZero() || now.Sub(s.readAt) > leaseFor {
		return s.static
	}

	// This is what the others leave, who divide the quota by the known demand of this sender.
	known := s.knownRate(now)
	allowed := s.full
	for _, part := range s.divideQuota(known, s.demandOf)[1:] {
		allowed -= part
	}

	// If this sender has a greater demand that the others have not read, it may use its part
	// as far as the known demands of the others leave it free.
	if known < s.mine.Rate {
		free := s.full
		for _, part := range s.divideQuota(0, s.knownDemandOf(now))[1:] {
			free -= part
		}
		allowed = max(allowed, min(s.divideQuota(s.full, s.demandOf)[0], free))
	}
	return max(allowed, s.floor)
}

// demandOf returns the demand of another sender.
func (s *share) demandOf(o push.Demand) float64 { return o.Rate }

// knownDemandOf returns a function that returns the part of another sender's demand that all
// others have read.
func (s *share) knownDemandOf(now time.Time) func(push.Demand) float64 {
	return func(o push.Demand) float64 {
		if o.Age+now.Sub(s.readAt) >= knownAfter {
			return o.Rate
		}
		return min(o.Known, o.Rate)
	}
}

// divideQuota returns the parts of all senders. The first is that of this sender, whose
// demand is mine; of gives the demands of the others.
func (s *share) divideQuota(mine float64, of func(push.Demand) float64) []float64 {
	wants := make([]float64, 0, len(s.others)+1)
	wants = append(wants, mine)
	for _, o := range s.others {
		wants = append(wants, of(o))
	}
	return divideFairly(s.full, wants)
}

// divideFairly divides total. A sender that wants less than an equal part gets what it
// wants, and the others divide the rest.
func divideFairly(total float64, wants []float64) []float64 {
	order := make([]int, len(wants))
	for i := range order {
		order[i] = i
	}

	slices.SortFunc(order, func(a, b int) int {
		switch {
		case wants[a] < wants[b]:
			return -1
		case wants[a] > wants[b]:
			return 1
		}
		return 0
	})

	parts := make([]float64, len(wants))
	for n, i := range order {
		parts[i] = min(wants[i], total/float64(len(order)-n))
		total -= parts[i]
	}

	return parts
}

// highestRamp returns the greatest ramp of the other busy senders: how far the sending of
// the project has grown. A new sender continues from there.
func (s *share) highestRamp() (most float64) {
	for _, o := range s.others {
		if o.Rate > 0 {
			most = max(most, o.Ramp)
		}
	}
	return most
}
