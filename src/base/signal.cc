#include "base/signal.h"

#include <csignal>

#include "base/error.h"

namespace citius {
namespace {

// The one piece of state a signal handler can reach.
volatile std::sig_atomic_t stop_signal = 0;

void on_signal(int number) { stop_signal = number; }

}  // namespace

void catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // No SA_RESTART: a read that waits for input must return. SA_RESETHAND: the second signal has its default effect.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A write beyond `ulimit -f` shall fail like one on a full disk, with the old file intact, instead of ending the process.
  std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupted() { return stop_signal != 0; }

bool take_ctrl_c() {
  if (stop_signal != SIGINT) return false;
  stop_signal = 0;
  catch_interrupts();
  return true;
}

void check_interrupted() {
  if (interrupted()) throw Error(ErrorKind::kInterrupted, "interrupted");
}

}  // namespace citius
