"""One net, or many, in several processes: ranks that MPI starts, counted from 0."""
