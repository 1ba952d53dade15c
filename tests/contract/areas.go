package contract

// areas are all that the suite states.
var areas = []Area{
	blockStorage,
}

var blockStorage = Area{Name: "block storage", Cases: volumeCases}
