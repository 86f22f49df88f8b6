package deliver

// projectTurns divides the window of a call equally among the projects of its targets.
// Otherwise the targets of a project whose quota is used up would fill the window, and
// those of the others would wait with them. It has no lock: only the goroutine of the send
// loop uses it.
type projectTurns struct {
	part     int // how many targets of a project may be in flight; 0: there is one project
	inFlight map[string]int
	waiting  map[string][]int // by project: targets that come when one of them is answered
}

func newProjectTurns() projectTurns {
	return projectTurns{inFlight: map[string]int{}, waiting: map[string][]int{}}
}

// shareWindow divides the window equally among a number of projects.
func (p *projectTurns) shareWindow(projects int) {
	if projects > 1 {
		p.part = max(1, maxUnsaved/projects)
	}
}

// startTarget counts a target of a project as in flight. It keeps the target and returns false
// if the project has its part of the window in flight.
func (p *projectTurns) startTarget(project string, target int) bool {
	if p.part > 0 && p.inFlight[project] >= p.part {
		p.waiting[project] = append(p.waiting[project], target)
		return false
	}
	p.inFlight[project]++
	return true
}

// endTarget counts a target of a project as answered: it is the turn of the next one.
func (p *projectTurns) endTarget(project string, queue *[]int) {
	p.inFlight[project]--
	p.queueNext(project, queue)
}

// queueNext puts the next target of a project that startTarget has kept at the front of a queue.
func (p *projectTurns) queueNext(project string, queue *[]int) {
	if kept := p.waiting[project]; len(kept) > 0 {
		p.waiting[project] = kept[1:]
		*queue = append([]int{kept[0]}, *queue...)
	}
}

// countProjects counts the projects of targets.
func (r *results) countProjects(targets []int) int {
	seen := map[string]bool{}
	for _, i := range targets {
		seen[r.projectOf(i)] = true
	}
	return len(seen)
}
