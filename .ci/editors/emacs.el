;;; What a developer does in Emacs, step by step; the file is open.  -*- lexical-binding: t; -*-

(defun deconflict-step (title condition)
  "Wait until CONDITION holds, and say TITLE."
  (let ((end (+ (float-time) 20)))
    (while (and (not (funcall condition)) (< (float-time) end))
      (accept-process-output nil 0.05))
    (if (funcall condition)
        (message "ok: %s" title)
      (message "FAILED: %s" title)
      (kill-emacs 1))))

(defun deconflict-codes ()
  "The texts of all diagnostics here."
  (mapconcat #'flymake-diagnostic-text (flymake-diagnostics) "\n"))

(defun deconflict-test ()
  "Open, hover, suppress, save."
  (setq eglot-sync-connect 20 eglot-confirm-server-initiated-edits nil)
  (goto-char (point-min))
  (unless (eglot-managed-p)
    (eglot--maybe-activate-editing-mode)
    (unless (eglot-current-server)
      (apply #'eglot--connect (eglot--guess-contact))))
  (deconflict-step "eglot manages the buffer" #'eglot-managed-p)
  (deconflict-step "diagnostics arrive"
                   (lambda ()
                     (flymake-start)
                     (and (string-match-p "global-counter" (deconflict-codes))
                          (string-match-p "global-accumulator" (deconflict-codes)))))
  (goto-char (point-min))
  (search-forward "public purch")
  (let ((hover (jsonrpc-request (eglot--current-server-or-lose) :textDocument/hover
                                (eglot--TextDocumentPositionParams))))
    (unless (string-match-p "slot 1" (format "%S" hover))
      (message "FAILED: %S" hover)
      (kill-emacs 1)))
  (message "ok: a hover names the slot")
  (goto-char (point-min))
  (search-forward "purchases += ")
  (let* ((actions (eglot-code-actions (point) (point)))
         (action (seq-find (lambda (it) (string-prefix-p "Suppress" (plist-get it :title))) actions)))
    (unless action
      (message "FAILED: no action in %S" actions)
      (kill-emacs 1))
    (eglot--apply-workspace-edit (plist-get action :edit)))
  (deconflict-step "a code action writes a suppression"
                   (lambda () (string-match-p "allow(global-counter)" (buffer-string))))
  (save-buffer)
  (deconflict-step "the finding goes once the file is saved"
                   (lambda ()
                     (flymake-start)
                     (and (not (string-match-p "global-counter" (deconflict-codes)))
                          (string-match-p "global-accumulator" (deconflict-codes)))))
  (call-interactively #'eglot-shutdown)
  (kill-emacs 0))
