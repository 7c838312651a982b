// Ctrl-C. The first one sets a flag that long work looks at between steps, so that it can stop without leaving partial
// output; a second one ends the process at once.
#pragma once

namespace citius {

/// Makes SIGINT and SIGTERM set the flag; system calls that wait return EINTR. A file that outgrows its limit becomes a
/// failed write.
void catch_interrupts();
/// Whether the user asked to stop.
bool interrupted();
/// Whether Ctrl-C, not SIGTERM, asked to stop. Forgets it: the next Ctrl-C is caught again.
bool take_ctrl_c();
/// Throws Error{kInterrupted} where the user asked to stop.
void check_interrupted();

}  // namespace citius
